//! A long run does not grow without end: what it costs beyond its records' own few bytes is looked for
//! from outside, in what the command takes of the machine's memory, so that no list is forgotten.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// So many records a second, each a batch of its own, and as many no-ops in the metadata log.
const PER_SECOND: u64 = 50;
/// What a record may cost, with its three replicas, its delivery, its acknowledgement and six times a
/// no-op. In memory as it is used while a batch is young it would be two thousand.
const BYTES_EACH: u64 = 700;

/// The most memory that a run of so many virtual seconds took, in bytes.
fn peak(seconds: u64) -> u64 {
    let script = format!(
        "cluster brokers=3 controllers=3 metadata.max.idle.interval.ms={}\n\
         topic orders partitions=3 replication-factor=3\nproducer app\n\
         consumer c1 group=billing topics=orders auto.offset.reset=earliest\n\
         load app orders rate={PER_SECOND}/s keys=6 size=12 for=1h\nwait {seconds}s\n",
        1_000 / PER_SECOND
    );
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("memory_{seconds}.hw"));
    fs::write(&file, script).expect("the folder of the tests can be written to");
    let mut run = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["run", "--format", "json", "--brief"])
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()
        .expect("the command was built");
    let mut most = 0;
    while run.try_wait().expect("it is our child").is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        most = most.max(peak.unwrap_or(0) * 1024);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(run.wait().expect("it has ended").success());
    most
}

#[test]
fn a_record_costs_little_more_than_its_bytes_once_it_is_old() {
    let (short, long) = (40, 140);
    let grown = peak(long).saturating_sub(peak(short));
    let each = grown / ((long - short) * PER_SECOND);
    assert!(each < BYTES_EACH, "every record and no-op took {each} bytes for ever, {grown} in all");
}
