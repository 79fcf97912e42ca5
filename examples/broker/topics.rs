//! The topic tree: who has subscribed to what, and whom a message reaches. (4.7, 4.8.2)

use core::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use mqtt_session::QoS;
use mqtt_session::wire::shared_subscription;

/// Subscriptions by topic filter. `K` names a subscriber.
///
/// A filter of so many levels takes as many nodes, and a match looks at no more nodes than there are.
#[derive(Debug)]
pub(crate) struct Topics<K> {
    root: Node<K>,
    /// How many nodes there are below the root.
    nodes: usize,
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
    /// The filter of the shared subscription that it is, share name included.
    pub(crate) share: Option<Rc<str>>,
}

/// A level of topic filters.
#[derive(Debug)]
struct Node<K> {
    /// The levels below by their names; those of the two wildcards apart, for each match asks for them.
    children: HashMap<String, Node<K>>,
    any: Option<Box<Node<K>>>,
    rest: Option<Box<Node<K>>>,
    subscribers: BTreeMap<K, Options>,
    /// The shared subscriptions by share name.
    groups: BTreeMap<String, Group<K>>,
}

/// Those who share a subscription.
#[derive(Debug)]
struct Group<K> {
    /// What its members have subscribed to.
    filter: Rc<str>,
    members: Vec<(K, Options)>,
    /// Whose turn it is.
    next: Cell<usize>,
}

impl<K: Copy + Ord> Topics<K> {
    pub(crate) fn new() -> Self {
        Self { root: Node::new(), nodes: 0 }
    }

    /// How many nodes the subscriptions take.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes
    }

    /// Subscribes, or replaces the subscription to the same filter. `false`: there was one. [MQTT-3.8.4-3]
    pub(crate) fn subscribe(&mut self, filter: &str, key: K, options: Options) -> bool {
        let whole = filter;
        let (share_name, filter) = split(filter);
        let mut node = &mut self.root;
        for level in filter.split('/') {
            node = node.enter(level, &mut self.nodes);
        }
        match share_name {
            None => node.subscribers.insert(key, options).is_none(),
            Some(name) => {
                let group = node.groups.entry(name.to_owned()).or_insert_with(|| Group::new(whole));
                group.enter(key, options)
            }
        }
    }

    /// Ends a subscription. `false`: there was none. [MQTT-3.10.4-1]
    pub(crate) fn unsubscribe(&mut self, filter: &str, key: K) -> bool {
        let (share_name, filter) = split(filter);
        self.root.remove(&mut filter.split('/'), share_name, key, &mut self.nodes)
    }

    /// Somebody else of those who share a subscription, as long as there is somebody fit.
    pub(crate) fn another(&self, share: &str, is_fit: impl Fn(K) -> bool) -> Option<Receiver<K>> {
        let (share_name, filter) = split(share);
        let node = filter.split('/').try_fold(&self.root, |node, level| node.child(level))?;
        let group = node.groups.get(share_name?)?;
        group.fit(is_fit).map(|(key, options)| Receiver::new(key, options, Some(Rc::clone(&group.filter))))
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
            shared.extend(
                node.groups.values().filter_map(|group| Some((group.choose(&is_ready)?, Rc::clone(&group.filter)))),
            );
        });
        own.sort_unstable_by_key(|&(key, _)| key);
        let mut receivers: Vec<Receiver<K>> = Vec::with_capacity(own.len());
        for (key, options) in own {
            match receivers.last_mut() {
                Some(last) if last.key == key => last.add(options),
                _ => receivers.push(Receiver::new(key, options, None)),
            }
        }
        let shared = shared.into_iter();
        receivers.extend(shared.map(|((key, options), share)| Receiver::new(key, options, Some(share))));
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
            if let Some(rest) = node.rest.as_deref().filter(|_| wildcards) {
                found(rest);
            }
            let Some(level) = levels.get(depth) else {
                found(node);
                continue;
            };
            let any = node.any.as_deref().filter(|_| wildcards);
            let below = depth.saturating_add(1);
            open.extend(any.into_iter().chain(node.children.get(*level)).map(|child| (child, below)));
        }
    }
}

impl<K: Copy + Ord> Node<K> {
    fn new() -> Self {
        Self { children: HashMap::new(), any: None, rest: None, subscribers: BTreeMap::new(), groups: BTreeMap::new() }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.any.is_none()
            && self.rest.is_none()
            && self.subscribers.is_empty()
            && self.groups.is_empty()
    }

    /// The node of a level below.
    fn child(&self, level: &str) -> Option<&Self> {
        match level {
            "+" => self.any.as_deref(),
            "#" => self.rest.as_deref(),
            name => self.children.get(name),
        }
    }

    fn child_mut(&mut self, level: &str) -> Option<&mut Self> {
        match level {
            "+" => self.any.as_deref_mut(),
            "#" => self.rest.as_deref_mut(),
            name => self.children.get_mut(name),
        }
    }

    /// The same, which is made if there is none.
    fn enter(&mut self, level: &str, nodes: &mut usize) -> &mut Self {
        let mut make = || {
            *nodes = nodes.saturating_add(1);
            Self::new()
        };
        match level {
            "+" => self.any.get_or_insert_with(|| Box::new(make())),
            "#" => self.rest.get_or_insert_with(|| Box::new(make())),
            name => self.children.entry(name.to_owned()).or_insert_with(make),
        }
    }

    fn drop_child(&mut self, level: &str) {
        match level {
            "+" => self.any = None,
            "#" => self.rest = None,
            name => _ = self.children.remove(name),
        }
    }

    /// Removes a subscription, and the nodes that are of no use any more.
    fn remove<'f>(
        &mut self,
        levels: &mut impl Iterator<Item = &'f str>,
        share_name: Option<&str>,
        key: K,
        nodes: &mut usize,
    ) -> bool {
        let Some(level) = levels.next() else {
            let Some(name) = share_name else { return self.subscribers.remove(&key).is_some() };
            let Some(group) = self.groups.get_mut(name) else { return false };
            let was_there = group.leave(key);
            if group.members.is_empty() {
                self.groups.remove(name);
            }
            return was_there;
        };
        let Some(child) = self.child_mut(level) else { return false };
        let was_there = child.remove(levels, share_name, key, nodes);
        if child.is_empty() {
            self.drop_child(level);
            *nodes = nodes.saturating_sub(1);
        }
        was_there
    }
}

impl<K: Copy + Ord> Group<K> {
    fn new(filter: &str) -> Self {
        Self { filter: filter.into(), members: Vec::new(), next: Cell::new(0) }
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
        self.fit(is_ready).or_else(|| self.fit(|_| true))
    }

    /// The next one that is fit.
    fn fit(&self, is_fit: impl Fn(K) -> bool) -> Option<(K, Options)> {
        let turn = self.next.get();
        let in_turn = |skip| self.members.iter().copied().enumerate().skip(skip);
        let mut candidates = in_turn(turn).chain(in_turn(0).take(turn));
        let (index, member) = candidates.find(|&(_, (key, _))| is_fit(key))?;
        self.next.set(index.saturating_add(1));
        Some(member)
    }
}

impl<K> Receiver<K> {
    fn new(key: K, options: Options, share: Option<Rc<str>>) -> Self {
        let Options { qos, retain_as_published, identifier, .. } = options;
        Self { key, qos, retain_as_published, identifiers: identifier.into_iter().collect(), share }
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
