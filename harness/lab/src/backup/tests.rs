//! Backups of made-up states: what is in them, and what is refused.

use super::*;
use std::fs::File;
use std::io::{Read, Write};
use tempfile::TempDir;

struct World(TempDir);

impl World {
    /// A state with all kinds of files.
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        world.put("records/a.jsonl", "{\"a\":1}\n{\"b\":2}\n");
        world.put("certificates/m/cpu/f32/b1.json", "{}\n");
        world.put("references/r.bin", "\u{0}\u{1}");
        for derived in [
            "results.duckdb",
            "results.duckdb.wal",
            "results.7.tmp",
            "lock",
            "jobs/j.json",
            "digests/d.json",
            "certificates/m/cpu/f32/b1.7.tmp",
            "gate/trees/base/src/lib.rs",
            "gate/programs/base-0",
        ] {
            world.put(derived, "derived");
        }
        // A checkout may hold what no backup does.
        #[cfg(unix)]
        std::os::unix::fs::symlink("lib.rs", world.state().join("gate/trees/base/src/link"))
            .unwrap();
        world.put("gate/results/g.json", "{}\n");
        world
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.state().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("b.tar.gz")
    }

    fn write(&self) -> Result<Manifest> {
        write(&self.state(), &self.out(), Timestamp::UNIX_EPOCH)
    }

    fn unpack(&self) -> Result<Manifest> {
        let folder = self.0.path().join("unpacked");
        let _ = fs::remove_dir_all(&folder);
        unpack(&self.out(), &folder)
    }

    #[track_caller]
    fn check_refused(&self, says: &str) {
        let error = self.unpack().unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("b.tar.gz"), "{error}");
    }
}

fn paths(manifest: &Manifest) -> Vec<&str> {
    manifest.files.iter().map(|file| file.path.as_str()).collect()
}

#[test]
fn all_that_cannot_be_made_again_comes_back() {
    let world = World::new();
    let manifest = world.write().unwrap();
    let all = [
        "certificates/m/cpu/f32/b1.json",
        "gate/results/g.json",
        "records/a.jsonl",
        "references/r.bin",
    ];
    assert_eq!(paths(&manifest), all);
    assert_eq!(world.unpack().unwrap(), manifest);
    let unpacked = world.0.path().join("unpacked");
    for path in all {
        let read = |folder: &Path| fs::read(folder.join(path)).unwrap();
        assert_eq!(read(&unpacked), read(&world.state()), "{path}");
    }
    let left = fs::read_dir(world.0.path()).unwrap().count();
    assert_eq!(left, 3, "something was left beside the state, the backup and the unpacked folder");
    assert!(matches!(world.write(), Err(BackupError::Exists(_))));
}

#[test]
fn only_complete_lines_of_a_growing_file_are_kept() {
    let world = World::new();
    world.put("records/b.jsonl", "{\"a\":1}\n{\"being wri");
    // A whole line whose newline was damaged is not what somebody is writing.
    world.put("records/c.jsonl", "{\"a\":1}\n{\"b\":2}X");
    world.write().unwrap();
    world.unpack().unwrap();
    let read = |name: &str| {
        fs::read_to_string(world.0.path().join("unpacked/records").join(name)).unwrap()
    };
    assert_eq!(read("b.jsonl"), "{\"a\":1}\n");
    assert_eq!(read("c.jsonl"), "{\"a\":1}\n{\"b\":2}X");
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let world = World::new();
    std::os::unix::fs::symlink("/etc/passwd", world.state().join("records/p.jsonl")).unwrap();
    let error = world.write().unwrap_err().to_string();
    assert!(error.contains("p.jsonl") && error.contains("neither a file nor a folder"), "{error}");
    assert!(!world.out().exists());
}

#[test]
fn a_state_is_compared_byte_for_byte() {
    let world = World::new();
    let manifest = world.write().unwrap();
    let compared = || compare(&world.state(), &manifest).unwrap();
    assert_eq!(compared(), Difference::default());
    world.put("records/a.jsonl", "{\"a\":1}\n{\"b\":3}\n");
    world.put("notified.jsonl", "");
    fs::remove_file(world.state().join("references/r.bin")).unwrap();
    let expected = Difference {
        changed: vec!["records/a.jsonl".into()],
        only_here: vec!["notified.jsonl".into()],
        missing: vec!["references/r.bin".into()],
    };
    assert_eq!(compared(), expected);
    assert!(expected.conflicts());
    assert!(!Difference { missing: expected.missing, ..Difference::default() }.conflicts());
}

#[test]
fn any_byte_that_changes_and_any_end_that_is_missing_is_found() {
    let world = World::new();
    let manifest = world.write().unwrap();
    let whole = fs::read(world.out()).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(world.out(), bytes).unwrap();
        // Nothing depends on the time and the system of the header, nor on the bits that fill the last packed byte, which
        // stands before the checksum and the size; all else must be told.
        match world.unpack() {
            Ok(found) => {
                let says_nothing = (3..10).contains(&at) || at == whole.len() - 9;
                assert!(says_nothing, "byte {at} of {}", whole.len());
                assert_eq!(found, manifest);
            }
            Err(error) => assert!(error.to_string().contains("no sound backup"), "{error}"),
        }
    }
    for length in [0, 1, 20, whole.len() / 2, whole.len() - 1] {
        fs::write(world.out(), &whole[..length]).unwrap();
        world.check_refused("no sound backup");
    }
}

/// An archive with these entries and a manifest that names the plain ones.
fn forge(world: &World, entries: &[(&str, tar::EntryType, &str)], edit: impl Fn(&mut Manifest)) {
    let file = File::create(world.out()).unwrap();
    let packed = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    let mut archive = tar::Builder::new(packed);
    let mut manifest =
        Manifest { format: FORMAT, made_at: Timestamp::UNIX_EPOCH, files: Vec::new() };
    let mut add = |path: &str, kind, text: &str| {
        let mut header = tar::Header::new_gnu();
        // Past the checks of the library that writes.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(text.len() as u64);
        if kind == tar::EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        archive.append(&header, text.as_bytes()).unwrap();
    };
    for (path, kind, text) in entries {
        add(path, *kind, text);
        let (path, sha256) = ((*path).to_owned(), proofmark::fingerprint::digest(text));
        manifest.files.push(Kept { path, bytes: text.len() as u64, sha256 });
    }
    edit(&mut manifest);
    add(MANIFEST, tar::EntryType::Regular, &serde_json::to_string(&manifest).unwrap());
    archive.into_inner().unwrap().finish().unwrap().flush().unwrap();
}

#[test]
fn what_leads_elsewhere_or_is_no_plain_file_is_refused() {
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    let world = World::new();
    for path in ["../a", "/tmp/proofmark-a", "records/../../a", "./a", "a//b", "a/", ""] {
        forge(&world, &[(path, Regular, "x")], |_| {});
        world.check_refused("nothing that a backup holds");
    }
    for path in ["results.duckdb", "lock", "jobs/a"] {
        forge(&world, &[(path, Regular, "x")], |_| {});
        world.check_refused("nothing that a backup holds");
    }
    for kind in [Symlink, Link, Directory] {
        forge(&world, &[("records", kind, "")], |_| {});
        world.check_refused("is no plain file");
    }
    assert!(!world.0.path().join("a").exists() && !Path::new("/tmp/proofmark-a").exists());
}

#[test]
fn what_the_manifest_does_not_say_is_refused() {
    let world = World::new();
    let entries = [("records/a.jsonl", tar::EntryType::Regular, "x\n")];
    type Edit = fn(&mut Manifest);
    let cases: [(Edit, &str); 5] = [
        (|manifest| manifest.files.clear(), "does not name once"),
        (|manifest| manifest.files[0].sha256 = "00".into(), "another checksum"),
        (|manifest| manifest.files.push(manifest.files[0].clone()), "does not name once"),
        (|manifest| manifest.files[0].path.push('b'), "is missing"),
        (|manifest| manifest.format = 2, "is of format 2"),
    ];
    for (edit, says) in cases {
        forge(&world, &entries, edit);
        world.check_refused(says);
    }
    forge(&world, &[entries[0], entries[0]], |_| {});
    // The second of two files of one name must not take the place of the first.
    assert!(world.unpack().is_err());
    forge(&world, &entries, |_| {});
    world.unpack().unwrap();
    let mut text = String::new();
    File::open(world.0.path().join("unpacked/records/a.jsonl"))
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "x\n");
}
