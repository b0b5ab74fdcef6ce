//! What does one attempt cost, end to end, compared with bare reqwest?
//!
//! `cargo bench --bench attempt` starts a trivial server on one core, and on another, in turn, the bare program below
//! and `patchload run` in the closed model (`benches/attempt.toml`) and in the open one (`benches/arrivals.toml`). It prints
//! CPU time (user and system) per PATCH of each run, the medians and their ratios. `ROUNDS` and `SECONDS` may be set in the
//! environment.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench prints its figures, and they are small and positive"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const USERS: usize = 100;
const PATH: &str = "/api/v2/conversations/c/participants/p/attributes";
const BODY: &str = r#"{"attributes": {"tier": "gold", "ref": "r-1"}}"#;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("server") => runtime().block_on(serve()),
        Some("bare") => runtime().block_on(bare(&arguments[2], seconds())),
        _ => compare(),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn seconds() -> u64 {
    number("SECONDS", 5)
}

/// Alternates both programs and prints what they cost.
fn compare() {
    let server = pinned(1, &[std::env::current_exe().expect("a path").to_str().expect("a UTF-8 path"), "server"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts (taskset is needed)");
    let mut server = Server(server);
    let mut address = String::new();
    BufReader::new(server.0.stdout.take().expect("piped"))
        .read_line(&mut address)
        .expect("the server says its address");
    let target = format!("http://{}", address.trim());

    println!("{USERS} users for {} s each, CPU in us per PATCH (rate per second)\n", seconds());
    println!("{:>16} {:>20} {:>20}", "bare reqwest", "closed model", "open model");
    let mut costs: [Vec<f64>; 3] = Default::default();
    for _ in 0..number("ROUNDS", 7) {
        let round = [
            run_bare(&target),
            run_patchload(&target, "benches/attempt.toml"),
            run_patchload(&target, "benches/arrivals.toml"),
        ];
        for ((cost, rate), costs) in round.into_iter().zip(&mut costs) {
            print!("{cost:>11.2} ({rate:>6.0})");
            costs.push(cost);
        }
        println!();
    }
    let [bare, closed, open] = costs.map(median);
    println!("\nmedians: bare {bare:.2} us, open {open:.2} us, ratio {:.3}", open / bare);
    println!("medians: bare {bare:.2} us, closed {closed:.2} us, ratio {:.3}", closed / bare);
}

/// The server's process; it ends with this, also where a run fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().expect("the server is ours");
        self.0.wait().expect("the server ends");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A command on one core.
fn pinned(core: usize, command: &[&str]) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &core.to_string()]).args(command);
    pinned
}

/// What the bare program costs: CPU time per PATCH in us, and how many of them it sends per second.
fn run_bare(target: &str) -> (f64, f64) {
    let program = std::env::current_exe().expect("a path");
    let child = pinned(0, &[program.to_str().expect("a UTF-8 path"), "bare", target])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the bare program starts");
    let (cpu, output) = finish(child);
    per_patch(cpu, output.trim().parse().expect("the bare program prints a count"))
}

/// The same of `patchload run`.
fn run_patchload(target: &str, scenario: &str) -> (f64, f64) {
    let out = tempfile::tempdir().expect("a folder");
    let child = pinned(0, &[env!("CARGO_BIN_EXE_patchload"), "run", scenario, "--quiet"])
        .args(["--duration", &format!("{}s", seconds()), "--out"])
        .arg(out.path())
        .env("TARGET", target)
        .stdout(Stdio::piped())
        .spawn()
        .expect("patchload starts");
    let (cpu, _) = finish(child);
    let run = std::fs::read_dir(out.path()).expect("a folder").next().expect("a run").expect("a run").path();
    let mut summary = csv::Reader::from_path(run.join("summary.csv")).expect("a summary");
    let accepted = summary.headers().expect("a header").iter().position(|name| name == "accepted").expect("a column");
    let row = summary.records().next().expect("a row").expect("a row");
    per_patch(cpu, row[accepted].parse().expect("a count"))
}

fn per_patch(cpu: Duration, patches: f64) -> (f64, f64) {
    (cpu.as_secs_f64() * 1e6 / patches, patches / seconds() as f64)
}

/// Waits for a child and returns the CPU time it used, with what it printed.
fn finish(child: Child) -> (Duration, String) {
    let before = children_cpu();
    let output = child.wait_with_output().expect("the child ends");
    assert!(output.status.success(), "a program failed: {}", output.status);
    (children_cpu().saturating_sub(before), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// CPU time of all children that have ended, from `/proc/self/stat`, in ticks of 10 ms.
fn children_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<u64> =
        stat.rsplit(") ").next().expect("fields").split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect();
    // Fields 16 and 17 of proc(5), cutime and cstime; the text after the name starts with field 3.
    Duration::from_millis(10 * (fields[13] + fields[14]))
}

/// The comparison: the same requests, runtime, timeout and body read, with nothing around them.
async fn bare(target: &str, seconds: u64) {
    let roots = rustls::RootCertStore::empty();
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let end = Instant::now() + Duration::from_secs(seconds);
    let url = format!("{target}{PATH}");
    let mut users = tokio::task::JoinSet::new();
    for _ in 0..USERS {
        let (url, tls) = (url.clone(), tls.clone());
        users.spawn(async move {
            let client = reqwest::Client::builder()
                .tls_backend_preconfigured(tls)
                .retry(reqwest::retry::never())
                .no_proxy()
                .http1_only()
                .timeout(Duration::from_secs(10))
                .build()
                .expect("a client");
            let mut count = 0_u64;
            while Instant::now() < end {
                let request = client.patch(&url).header("content-type", "application/json").body(BODY);
                let response = request.send().await.expect("an answer");
                assert_eq!(response.status(), 202);
                response.bytes().await.expect("a body");
                count += 1;
            }
            count
        });
    }
    let mut count = 0;
    while let Some(user) = users.join_next().await {
        count += user.expect("no panic");
    }
    println!("{count}");
}

/// Answers every request with an empty 202, whatever it says.
async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 8 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        while let Some(length) = request_length(&buffer[..filled]).filter(|length| *length <= filled) {
            stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await?;
            buffer.copy_within(length..filled, 0);
            filled -= length;
        }
    }
}

/// The length of the first request, head and body, once its head is whole.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?.to_ascii_lowercase();
    let body = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    Some(head + body.unwrap_or(0))
}
