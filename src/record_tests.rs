use super::*;

#[test]
fn the_checksum_is_the_one_in_wide_use() {
    // The key is 0: four bytes of zeros in front. CRC-32 of "\0\0\0\0123456789".
    assert_eq!(checksum(Key::new(0x3132_3334), b"567", b"89"), 0xCBF4_3926);
}

#[test]
fn every_record_is_read_as_it_was_written() {
    let records = [
        Record::Session(SessionRecord {
            end: 1,
            level: 5,
            lifetime: 4,
            number: 7,
            since: 6,
            floor: 0xFF_0000_0001,
            client: 0x0102_0304_0506_0708,
            expiry: 3600,
        }),
        Record::Publish(PublishRecord { place: 9, lifetime: 0x8000_0002, packet: b"0\x03\0\x01a" }),
        Record::Release(ReleaseRecord { place: 10, number: 7, packet_id: 3, receipt: 2 }),
        Record::GivenUp(GivenUpRecord { place: 11, number: 7, packet_id: 4, state: 3 }),
        Record::Held(HeldRecord { number: 7, packet_id: 5 }),
    ];
    for record in records {
        let key = Key::new(3);
        let value = Value::new(key, &record);
        let mut buffer = [0; 64];
        let len = value.write(&mut buffer).unwrap();
        assert_eq!(len, value.len());
        assert_eq!(Record::read(key, &buffer[..len]), Ok(record));
        assert_eq!(value.write(&mut buffer[..len - 1]), None);
        // Under another key, and with any bit changed, it is damaged.
        assert_eq!(Record::read(Key::new(4), &buffer[..len]), Err(RestoreError::Damaged(Key::new(4))));
        for bit in 0..len * 8 {
            let mut damaged = buffer;
            damaged[bit / 8] ^= 1 << (bit % 8);
            let expected =
                if (4..8).contains(&bit) { RestoreError::OtherFormat(key) } else { RestoreError::Damaged(key) };
            assert_eq!(Record::read(key, &damaged[..len]), Err(expected), "bit {bit}");
        }
        for cut in 0..len {
            assert!(Record::read(key, &buffer[..cut]).is_err());
        }
    }
}

#[test]
fn a_key_says_which_place_it_stands_for() {
    assert_eq!(Key::SESSION.place(), Some(KeyPlace::Session));
    for index in [0, 1, 65_534] {
        assert_eq!(Key::sent(index).place(), Some(KeyPlace::Sent(index)));
        assert_eq!(Key::held(index).place(), Some(KeyPlace::Held(index)));
    }
    assert_eq!((Key::sent(65_534).get(), Key::held(65_534).get()), (65_535, 131_071));
    assert_eq!(Key::new(65_536).place(), None);
    assert_eq!(Key::new(131_072).place(), None);
}
