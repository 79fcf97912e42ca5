/// Quality of Service: how often a message arrives. [MQTT-4.3.1-1] to [MQTT-4.3.3-13]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum QoS {
    /// At most once: sent and forgotten.
    #[default]
    AtMostOnce = 0,
    /// At least once: sent until PUBACK.
    AtLeastOnce = 1,
    /// Exactly once: PUBLISH, PUBREC, PUBREL, PUBCOMP.
    ExactlyOnce = 2,
}

impl QoS {
    /// The QoS at which a message reaches a subscription: the lower of the QoS it was published with and the QoS that
    /// was granted. [MQTT-3.8.4-6] in 3.1.1, [MQTT-3.8.4-8] in 5.0
    ///
    /// ```
    /// use mqtt_session::QoS;
    /// let (published, granted) = (QoS::ExactlyOnce, QoS::AtLeastOnce);
    /// assert_eq!(published.min(granted), QoS::AtLeastOnce);
    /// ```
    #[must_use]
    pub const fn min(self, granted: Self) -> Self {
        if (granted as u8) < self as u8 { granted } else { self }
    }

    /// The QoS of two bits; `None` for 3, which is reserved.
    #[must_use]
    pub const fn of_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

    /// [MQTT-3.8.4-6] in 3.1.1, [MQTT-3.8.4-8] in 5.0
    #[test]
    fn the_lower_one_counts() {
        for (published, granted) in LEVELS.into_iter().flat_map(|level| LEVELS.map(|other| (level, other))) {
            assert_eq!(published.min(granted) as u8, (published as u8).min(granted as u8));
        }
    }

    #[test]
    fn three_is_reserved() {
        let levels = [0, 1, 2, 3].map(QoS::of_bits);
        assert_eq!(levels, [Some(LEVELS[0]), Some(LEVELS[1]), Some(LEVELS[2]), None]);
    }
}
