//! The topic tree: who has subscribed to what, and whom a message reaches. (4.7, 4.8.2)

use core::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use mqtt_session::QoS;
use mqtt_session::wire::shared_subscription;

/// Subscriptions by topic filter. `K` names a subscriber.
///
/// A filter of so many levels takes as many nodes, and a match looks at no more nodes than there are.
#[derive(Debug)]
pub(crate) struct Topics<K> {
    root: Node<K>,
}

/// How somebody has subscribed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) identifier: Option<u32>,
}

/// Somebody whom a message reaches, by all of the subscriptions that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receiver<K> {
    pub(crate) key: K,
    /// The highest QoS of them. [MQTT-3.3.5-1] of 3.1.1, [MQTT-3.3.4-2] of 5.0
    pub(crate) qos: QoS,
    pub(crate) retain_as_published: bool,
    /// All of their identifiers. [MQTT-3.3.4-3], [MQTT-3.3.4-4]
    pub(crate) identifiers: Vec<u32>,
}

/// A level of topic filters; `+` and `#` are children as any other, for no topic name contains them.
#[derive(Debug)]
struct Node<K> {
    children: HashMap<String, Node<K>>,
    subscribers: BTreeMap<K, Options>,
    /// The shared subscriptions by share name.
    groups: BTreeMap<String, Group<K>>,
}

/// Those who share a subscription.
#[derive(Debug)]
struct Group<K> {
    members: Vec<(K, Options)>,
    /// Whose turn it is.
    next: Cell<usize>,
}

impl<K: Copy + Ord> Topics<K> {
    pub(crate) fn new() -> Self {
        Self { root: Node::new() }
    }

    /// Subscribes, or replaces the subscription to the same filter. `false`: there was one. [MQTT-3.8.4-3]
    pub(crate) fn subscribe(&mut self, filter: &str, key: K, options: Options) -> bool {
        let (share_name, filter) = split(filter);
        let mut node = &mut self.root;
        for level in filter.split('/') {
            node = node.children.entry(level.to_owned()).or_insert_with(Node::new);
        }
        match share_name {
            None => node.subscribers.insert(key, options).is_none(),
            Some(name) => node.groups.entry(name.to_owned()).or_insert_with(Group::new).enter(key, options),
        }
    }

    /// Ends a subscription. `false`: there was none. [MQTT-3.10.4-1]
    pub(crate) fn unsubscribe(&mut self, filter: &str, key: K) -> bool {
        let (share_name, filter) = split(filter);
        self.root.remove(&mut filter.split('/'), share_name, key)
    }

    /// Whether there is no subscription, and nothing is left of any.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// Whom a message of this topic reaches: each once by its own subscriptions, and once more for each shared one of which
    /// it is the turn. Of those who share, one is chosen that is ready, if any is.
    ///
    /// `publisher` is left out where it asked for that. [MQTT-3.8.3-3]
    pub(crate) fn receivers(
        &self,
        topic: &str,
        publisher: Option<K>,
        is_ready: impl Fn(K) -> bool,
    ) -> Vec<Receiver<K>> {
        let mut own: Vec<(K, Options)> = Vec::new();
        let mut shared = Vec::new();
        self.visit(topic, |node| {
            let is_for = |key: K, options: &Options| !(options.no_local && publisher == Some(key));
            own.extend(node.subscribers.iter().map(|(&key, &options)| (key, options)).filter(|(k, o)| is_for(*k, o)));
            shared.extend(node.groups.values().filter_map(|group| group.choose(&is_ready)));
        });
        own.sort_unstable_by_key(|&(key, _)| key);
        let mut receivers: Vec<Receiver<K>> = Vec::with_capacity(own.len());
        for (key, options) in own {
            match receivers.last_mut() {
                Some(last) if last.key == key => last.add(options),
                _ => receivers.push(Receiver::new(key, options)),
            }
        }
        receivers.extend(shared.into_iter().map(|(key, options)| Receiver::new(key, options)));
        receivers
    }

    /// Visits the end of each filter that matches.
    fn visit<'t>(&'t self, topic: &str, mut found: impl FnMut(&'t Node<K>)) {
        let levels: Vec<&str> = topic.split('/').collect();
        let mut open = vec![(&self.root, 0_usize)];
        while let Some((node, depth)) = open.pop() {
            // [MQTT-4.7.2-1]
            let wildcards = depth != 0 || !topic.starts_with('$');
            // `a/#` matches `a`, too.
            if let Some(rest) = node.children.get("#").filter(|_| wildcards) {
                found(rest);
            }
            let Some(level) = levels.get(depth) else {
                found(node);
                continue;
            };
            let any = node.children.get("+").filter(|_| wildcards);
            let below = depth.saturating_add(1);
            open.extend(any.into_iter().chain(node.children.get(*level)).map(|child| (child, below)));
        }
    }
}

impl<K: Copy + Ord> Node<K> {
    fn new() -> Self {
        Self { children: HashMap::new(), subscribers: BTreeMap::new(), groups: BTreeMap::new() }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.subscribers.is_empty() && self.groups.is_empty()
    }

    /// Removes a subscription, and the nodes that are of no use any more.
    fn remove<'f>(&mut self, levels: &mut impl Iterator<Item = &'f str>, share_name: Option<&str>, key: K) -> bool {
        let Some(level) = levels.next() else {
            let Some(name) = share_name else { return self.subscribers.remove(&key).is_some() };
            let Some(group) = self.groups.get_mut(name) else { return false };
            let was_there = group.leave(key);
            if group.members.is_empty() {
                self.groups.remove(name);
            }
            return was_there;
        };
        let Some(child) = self.children.get_mut(level) else { return false };
        let was_there = child.remove(levels, share_name, key);
        if child.is_empty() {
            self.children.remove(level);
        }
        was_there
    }
}

impl<K: Copy + Ord> Group<K> {
    fn new() -> Self {
        Self { members: Vec::new(), next: Cell::new(0) }
    }

    fn enter(&mut self, key: K, options: Options) -> bool {
        match self.members.iter_mut().find(|(member, _)| *member == key) {
            Some(member) => {
                member.1 = options;
                false
            }
            None => {
                self.members.push((key, options));
                true
            }
        }
    }

    fn leave(&mut self, key: K) -> bool {
        let before = self.members.len();
        self.members.retain(|(member, _)| *member != key);
        self.members.len() != before
    }

    /// The next one that is ready, or just the next one.
    fn choose(&self, is_ready: impl Fn(K) -> bool) -> Option<(K, Options)> {
        let turn = self.next.get();
        let in_turn = |skip| self.members.iter().copied().enumerate().skip(skip);
        let mut candidates = in_turn(turn).chain(in_turn(0).take(turn));
        let chosen = candidates.clone().find(|&(_, (key, _))| is_ready(key)).or_else(|| candidates.next());
        let (index, member) = chosen?;
        self.next.set(index.saturating_add(1));
        Some(member)
    }
}

impl<K> Receiver<K> {
    fn new(key: K, options: Options) -> Self {
        let Options { qos, retain_as_published, identifier, .. } = options;
        Self { key, qos, retain_as_published, identifiers: identifier.into_iter().collect() }
    }

    fn add(&mut self, options: Options) {
        self.qos = self.qos.max(options.qos);
        self.retain_as_published |= options.retain_as_published;
        self.identifiers.extend(options.identifier);
    }
}

/// The share name of a filter, if it has one, and the filter that topics are compared with.
fn split(filter: &str) -> (Option<&str>, &str) {
    match shared_subscription(filter) {
        Some((share_name, filter)) => (Some(share_name), filter),
        None => (None, filter),
    }
}
