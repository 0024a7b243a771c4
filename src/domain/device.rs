//! Devices: what logged in, as it describes itself.

use super::ids::DeviceId;
use super::text::shown;
use super::time::Timestamp;

/// What a client says of itself when it logs in; every text is already fit to be shown.
#[derive(Clone, Default, Debug)]
pub struct DeviceFacts {
    /// `Mobile`, `Tablette`, `Navigateur`, or as the client said.
    pub device_type: String,
    /// A name the owner will recognise.
    pub name: String,
    /// The operating system.
    pub os: String,
    /// The browser, or empty for an app.
    pub browser: String,
    /// Where the client says it is.
    pub location: String,
    /// The address the server saw.
    pub ip: String,
}

/// A stored device of an account.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its number.
    pub id: DeviceId,
    /// What it said of itself.
    pub facts: DeviceFacts,
    /// Whether it may approve logins.
    pub approving: bool,
    /// When it logged in first.
    pub created_at: Timestamp,
    /// When it was last there, to the minute.
    pub seen_at: Timestamp,
    /// From which address.
    pub seen_ip: String,
}

/// Operating system and browser out of a `User-Agent` header: a hint for the owner's eye, never a fact.
pub fn from_user_agent(agent: &str) -> (String, String) {
    let find = |table: &[(&str, &str)]| {
        table
            .iter()
            .find(|(mark, _)| agent.contains(mark))
            .map_or(String::new(), |(_, name)| (*name).to_owned())
    };
    let os = find(&[
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iPadOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    let browser = find(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    (shown(&os), shown(&browser))
}
