//! Any bytes, cut anywhere: the line reader hands on every byte once, in order, within its limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veritail::sources::lines::{Item, LineReader};

fuzz_target!(|input: (u8, Vec<Vec<u8>>)| {
    let (max, chunks) = (usize::from(input.0), input.1);
    let whole: Vec<u8> = chunks.concat();
    let mut reader = LineReader::new(0, max);
    let mut reached = 0;
    for chunk in &chunks {
        reader.feed(chunk, |item| {
            let (start, end) = match item {
                Item::Line { start, end, bytes } => {
                    assert!(bytes.len() <= max && !bytes.contains(&b'\n'));
                    assert_eq!(bytes, &whole[start as usize..end as usize - 1]);
                    (start, end)
                }
                Item::TooLong(range) => {
                    assert!(range.len > max as u64);
                    assert_eq!(range.crc, crc32fast::hash(&whole[range.start as usize..range.end as usize - 1]));
                    (range.start, range.end)
                }
            };
            assert_eq!((start, whole[end as usize - 1]), (reached, b'\n'));
            reached = end;
        });
    }
    assert_eq!(reached, reader.line_start());
    let end = reader.finish().map_or(reached, |torn| torn.end);
    assert_eq!(end, whole.len() as u64);
});
