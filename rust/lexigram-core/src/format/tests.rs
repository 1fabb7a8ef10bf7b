//! Containers come back as they were written, and every damage is found.

use super::*;

fn write(path: &Path, first: &[u8], second: &[u32]) {
    let mut file = FileWriter::create(path, *b"TEST", 3, 2).unwrap();
    file.section("first").unwrap();
    file.write(first).unwrap();
    file.section("second").unwrap();
    file.write_slice(second).unwrap();
    file.finish().unwrap();
}

fn read(path: &Path) -> Result<(Vec<u8>, Vec<u32>)> {
    let file = MappedFile::open(path, *b"TEST", 3)?;
    file.verify()?;
    Ok((file.section("first")?.to_vec(), file.slice("second")?.to_vec()))
}

#[test]
fn round_trip_across_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    for length in [0, 1, 63, 64, 65, (1 << 20) - 1, 1 << 20, (3 << 20) + 17] {
        let first: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
        let second: Vec<u32> = (0..length as u32 / 5).collect();
        write(&path, &first, &second);
        assert_eq!(read(&path).unwrap(), (first, second));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn every_flipped_bit_and_every_truncation_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    write(&path, b"some bytes", &[7, 8, 9]);
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            std::fs::write(&path, &bad).unwrap();
            assert!(read(&path).is_err(), "bit {bit} of byte {at}");
        }
    }
    for length in 0..good.len() {
        std::fs::write(&path, &good[..length]).unwrap();
        assert!(read(&path).is_err(), "truncated to {length}");
    }
    let mut longer = good.clone();
    longer.push(0);
    std::fs::write(&path, &longer).unwrap();
    assert!(read(&path).is_err(), "a byte too many");
}

#[test]
fn damage_is_named_by_block() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    write(&path, &vec![1; 5 << 20], &[]);
    let mut bytes = std::fs::read(&path).unwrap();
    let start = data_start(2) as usize;
    bytes[start + (3 << 20) + 5] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    match read(&path) {
        Err(Error::Corrupt { offset, .. }) => assert_eq!(offset, (start + (3 << 20)) as u64),
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    write(&path, b"x", &[]);
    let kind = MappedFile::open(&path, *b"SHRD", 3).unwrap_err().to_string();
    assert!(kind.contains("\"TEST\"") && kind.contains("\"SHRD\""), "{kind}");
    let version = MappedFile::open(&path, *b"TEST", 4).unwrap_err().to_string();
    assert!(version.contains("version 3") && version.contains("version 4"), "{version}");
    std::fs::write(&path, "just some text, long enough to be a header of ours, perhaps").unwrap();
    let text = MappedFile::open(&path, *b"TEST", 3).unwrap_err().to_string();
    assert!(text.contains("just som"), "{text}");
    assert!(MappedFile::open(&dir.path().join("none"), *b"TEST", 3).is_err());
}

#[test]
fn an_abandoned_writer_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    write(&path, b"old", &[]);
    let mut file = FileWriter::create(&path, *b"TEST", 3, 2).unwrap();
    file.section("first").unwrap();
    file.write(b"new").unwrap();
    drop(file);
    assert_eq!(read(&path).unwrap().0, b"old");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
