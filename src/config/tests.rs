//! Settings: what is read, what is refused, and that every refusal names its setting.

use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, file).unwrap();
    Config::load(Some(&path), environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

#[test]
fn the_defaults_are_the_contracts() {
    let config = Config::load(None, []).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.max_body, 65_536);
    assert_eq!(config.pairing.ttl, Duration::from_secs(600));
    assert_eq!(config.device.session_ttl, Duration::from_secs(90 * 86_400));
    assert_eq!(config.lock.block_for, Duration::from_secs(900));
    assert_eq!(config.accounts.kinds.len(), 3);
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = load(
        "[server]\nlisten = \"127.0.0.1:1\"\nmax_body = 2048\n",
        &[
            ("READYLOGIN_SERVER__LISTEN", "127.0.0.1:9000"),
            ("READYLOGIN_STORE__URL", "postgres://u:p@h/d"),
            ("READYLOGIN_SERVER__ALLOWED_ORIGINS", "https://a.example, https://b.example/"),
            ("READYLOGIN_SOCKET__MAX_MESSAGE", "16 KiB"),
            ("READYLOGIN_LIMITS__FACTOR", "0"),
            ("READYLOGIN_TEST_STORE", "not a setting"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen.port(), 9000);
    assert_eq!(config.server.max_body, 2048);
    assert_eq!(config.server.allowed_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.socket.max_message, 16_384);
    assert!(!format!("{config:?}").contains("u:p@"), "a password in Debug");
}

#[test]
fn a_wrong_setting_is_named() {
    let named = |file: &str, env: &[(&str, &str)], name: &str| {
        let error = load(file, env).unwrap_err().to_string();
        assert!(error.contains(name), "{error:?} does not name {name}");
    };
    named("[server]\nlisten = \"nowhere\"", &[], "server.listen");
    named("[accounts]\nphone_country = \"Switzerland\"", &[], "accounts.phone_country");
    named("", &[("READYLOGIN_ACCOUNTS__PHONE_COUNTRY", "XX")], "READYLOGIN_ACCOUNTS__PHONE_COUNTRY");
    named("[server]\nlistne = \"127.0.0.1:1\"", &[], "listne");
    named("[accounts]\nregistration = \"ajar\"", &[], "accounts.registration");
    named("[accounts]\nregistration = []", &[], "accounts.registration");
    named("[accounts]\nregistration = [\"p\", \"x\"]", &[], "accounts.registration");
    named("[server]\naccount_origins = [\"shop\"]", &[], "server.account_origins");
    named("[pairing]\nttl = \"soon\"", &[], "pairing.ttl");
    named("[pairing]\nttl = 5", &[], "pairing.ttl");
    named("", &[("READYLOGIN_PAIRING__TTL", "0s")], "READYLOGIN_PAIRING__TTL");
    named("", &[("READYLOGIN_PAIRING__TTTL", "1s")], "READYLOGIN_PAIRING__TTTL");
    named("", &[("READYLOGIN_PASSWORD__ITERATIONS", "two")], "READYLOGIN_PASSWORD__ITERATIONS");
    named("[server]\nlisten = \"0.0.0.0:1\"", &[], "server.listen");
    named(
        "[server]\nlisten = \"0.0.0.0:1\"\ntrusted_proxies = [\"10.0.0.1\"]\n[limits]\nfactor = 0.0",
        &[],
        "limits.factor",
    );
    named("[store]\nurl = \"mysql://x\"", &[], "store.url");
    named("[jwt]\nalgorithm = \"none\"", &[], "jwt.algorithm");
    named("[accounts]\nkinds = [\"p\", \"p\"]", &[], "accounts.kinds");
    named("[keys]\nseal = \"short\"", &[], "keys.seal");
    named("[approval]\nmatch = \"required\"", &[], "approval.match");
    named("[bus]\nurl = \"amqp://localhost\"", &[], "bus.url");
    named("[bus]\ncert = \"cert.pem\"", &[], "bus.key");
    named("[mail]\nqueue = 0", &[], "mail.queue");
    named("[mail_code]\nblock = [\"*.example.org\"]", &[], "mail_code.block");
    named("[mail_code]\ntotal_1h = 0", &[], "mail_code.total_1h");
    named("[mail_code]\ngeneral_share = 1.1", &[], "mail_code.general_share");
    named("[mail_code]\nnetwork_share = 0", &[], "mail_code.network_share");
    named("", &[("READYLOGIN_MAIL_CODE__ALLOW", "ann@example.org, @example.net")], "MAIL_CODE__ALLOW");
    named("[mail]\nsmtp_url = \"smtp://192.0.2.1?tls=none\"", &[], "mail.smtp_url");
    named("", &[("READYLOGIN_MAIL__SMTP_URL", "smtps://")], "READYLOGIN_MAIL__SMTP_URL");
}

#[test]
fn a_mail_server_s_password_is_never_shown() {
    let hunter = "hunter2";
    for url in [
        format!("\"smtp://me:{hunter}@mail.example.org:port\""),
        format!("\"{hunter}\""),
        format!("[\"smtp://me:{hunter}@mail.example.org\"]"),
        format!("{{ {hunter} = \"smtp\" }}"),
    ] {
        let error = load(&format!("[mail]\nsmtp_url = {url}\n"), &[]).unwrap_err().to_string();
        assert!(error.contains("mail.smtp_url") && !error.contains(hunter), "{error}");
    }
    let good = load(&format!("[mail]\nsmtp_url = \"smtp://me:{hunter}@mail.example.org\"\n"), &[]).unwrap();
    assert!(!format!("{good:?}").contains(hunter), "a password in Debug");
}

#[test]
fn settings_of_later_releases_are_accepted_and_reported() {
    let config = load("[geo]\ndatabase = \"x\"\n", &[("READYLOGIN_CROSS_DEVICE__SCOPE", "x")]).unwrap();
    assert_eq!(config.without_effect, ["cross_device.scope", "geo.database"]);
}

#[test]
fn a_variable_with_an_underscore_too_few_is_reported() {
    let config =
        load("", &[("READYLOGIN_SERVER_LISTEN", "127.0.0.1:9000"), ("READYLOGIN_ELSEWHERE", "x")]).unwrap();
    assert_eq!(config.without_effect.len(), 1);
    assert!(config.without_effect[0].starts_with("READYLOGIN_SERVER_LISTEN"));
}
