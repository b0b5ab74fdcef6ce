//! A real server of somebody else's making, with certificates from an authority of the test's own.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "a module of several tests, each of which uses a part of it"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// From when to when a certificate is valid, as openssl writes it.
pub const VALID: [&str; 2] = ["20200101000000Z", "20991231235959Z"];
/// As [`VALID`], but long ago.
pub const EXPIRED: [&str; 2] = ["20200101000000Z", "20210101000000Z"];

const CONFIG: &str = "[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\nnew_certs_dir = .\ndefault_md = sha256\n\
                      policy = any\nunique_subject = no\nrand_serial = yes\n[any]\ncommonName = supplied\n";

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// A certificate authority in a folder of its own, made by openssl.
pub struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    /// An authority of this name.
    pub fn new(name: &str) -> Self {
        let own = Self { folder: tempfile::tempdir().unwrap() };
        let subject = format!("/CN={name}");
        fs::write(own.file("index.txt"), "").unwrap();
        fs::write(own.file("ca.cnf"), CONFIG).unwrap();
        let mut arguments = vec!["req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", &subject];
        arguments.extend(["-days", "2", "-addext", "basicConstraints=critical,CA:TRUE"]);
        own.openssl(&[&arguments[..], &KEY].concat());
        own
    }

    /// Makes `NAME.pem` and `NAME.key`, a certificate for these names that is valid so long.
    pub fn issue(&self, name: &str, subject: &str, [from, to]: [&str; 2]) {
        let [key, request, certificate] = ["key", "csr", "pem"].map(|extension| format!("{name}.{extension}"));
        self.openssl(&[&["req", "-keyout", &key, "-out", &request, "-subj", "/CN=test"][..], &KEY].concat());
        let extensions = format!("subjectAltName = {subject}\nbasicConstraints = critical, CA:FALSE\n");
        fs::write(self.file("extensions"), extensions).unwrap();
        let mut arguments = vec!["ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"];
        arguments.extend(["-notext", "-extfile", "extensions", "-startdate", from, "-enddate", to]);
        arguments.extend(["-in", &request, "-out", &certificate]);
        self.openssl(&arguments);
    }

    /// A file of this authority.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as a text for scenarios and configurations.
    pub fn path(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    /// Runs openssl in the folder of this authority.
    pub fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output();
        let output: Output = output.expect("this test needs openssl on the PATH: `apt-get install openssl`");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A port on which nobody listens, and none that the system gives to outgoing connections: whoever tries to connect to one
/// of those until somebody listens may reach himself, or find that another connection took it meanwhile.
pub fn free_port() -> u16 {
    /// Below what Linux gives to outgoing connections.
    const PORTS: std::ops::Range<u32> = 10_240..32_000;
    static TRIED: AtomicU32 = AtomicU32::new(0);
    loop {
        // Programs that run at the same time begin at different ports.
        let tried = std::process::id().wrapping_mul(101).wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + tried % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A child that listens on a port; killed when dropped.
pub struct Server(Child);

impl Server {
    /// Starts a program and waits until all its ports are open.
    pub fn start(program: &str, command: &mut Command, ports: &[u16]) -> Self {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut server = Self(child.unwrap_or_else(|error| panic!("this test needs {program} on the PATH: {error}")));
        let deadline = Instant::now() + Duration::from_secs(30);
        for port in ports {
            while TcpStream::connect(("127.0.0.1", *port)).is_err() {
                let has_ended = server.0.try_wait().unwrap().is_some();
                assert!(!has_ended && Instant::now() < deadline, "{program} does not listen: {}", server.complaint());
                thread::sleep(Duration::from_millis(10));
            }
        }
        server
    }

    fn complaint(&mut self) -> String {
        let _ = self.0.kill();
        std::io::read_to_string(self.0.stderr.take().unwrap()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// nginx with a configuration of the test's own. One process, so that killing it leaves nobody behind.
pub struct Nginx {
    folder: tempfile::TempDir,
    _server: Server,
}

impl Nginx {
    /// Starts nginx with these `server` blocks, which listen on these ports.
    pub fn start(servers: &str, ports: &[u16]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|kind| format!("{kind}_temp_path {place}/{kind};")).join("\n");
        let config = format!(
            "daemon off; master_process off; pid {place}/nginx.pid; error_log {place}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n{temporary}\n\
             log_format facts '$server_port|$connection|$remote_addr|$server_protocol|$status|$ssl_client_verify|\
             $http_accept_encoding|$gzip_ratio|$http_authorization|$request';\n\
             access_log {place}/access.log facts;\n\
             keepalive_requests 10000;\n\
             default_type application/json;\n{servers}\n}}\n"
        );
        fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).arg("-e").arg(folder.path().join("error.log"));
        command.arg("-c").arg(folder.path().join("nginx.conf"));
        Self { _server: Server::start("nginx", &mut command, ports), folder }
    }

    /// What was asked, in so many lines at least: nginx writes a line after the answer.
    pub fn log(&self, least: usize) -> Vec<Line> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let lines = read_log(&self.folder.path().join("access.log"));
            if lines.len() >= least || Instant::now() > deadline {
                return lines;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn read_log(path: &Path) -> Vec<Line> {
    let text = fs::read_to_string(path).unwrap();
    let text = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    text.lines().map(|line| Line(line.split('|').map(str::to_owned).collect())).collect()
}

/// A line of the access log.
#[derive(Debug, Clone)]
pub struct Line(Vec<String>);

impl Line {
    pub fn port(&self) -> &str {
        &self.0[0]
    }

    pub fn connection(&self) -> &str {
        &self.0[1]
    }

    pub fn address(&self) -> &str {
        &self.0[2]
    }

    pub fn protocol(&self) -> &str {
        &self.0[3]
    }

    pub fn client_verify(&self) -> &str {
        &self.0[5]
    }

    pub fn accept_encoding(&self) -> &str {
        &self.0[6]
    }

    pub fn gzip_ratio(&self) -> &str {
        &self.0[7]
    }

    pub fn authorization(&self) -> &str {
        &self.0[8]
    }

    pub fn request(&self) -> &str {
        &self.0[9]
    }
}
