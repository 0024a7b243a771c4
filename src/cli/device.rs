//! `device`: what is logged in to an account, and how to end it.

use anyhow::anyhow;
use serde_json::json;

use super::account::Which;
use super::failure::words;
use super::output;
use crate::auth::{self, Auth};
use crate::domain::device::Device;
use crate::domain::ids::DeviceId;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show the devices that are logged in, oldest first
    List {
        #[command(flatten)]
        which: Which,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a device: its sessions, and its right to approve logins
    Revoke {
        /// The device's number, as `device list` shows it
        id: i64,
    },
}

impl Command {
    pub(super) async fn run(self, auth: &Auth) -> anyhow::Result<()> {
        match self {
            Self::List { which, json } => list(auth, &which, json).await,
            Self::Revoke { id } => revoke(auth, DeviceId(id)).await,
        }
    }
}

async fn list(auth: &Auth, which: &Which, as_json: bool) -> anyhow::Result<()> {
    let account = which.find(auth).await?;
    let devices = auth.devices(account.id).await.map_err(words)?;
    if as_json {
        return output::json(&devices.iter().map(as_value).collect());
    }
    let row = |device: &Device| {
        let facts = &device.facts;
        let system = [facts.os.as_str(), facts.browser.as_str()].join(" ").trim().to_owned();
        let approves = if device.approving { "approves" } else { "" }.to_owned();
        let since = output::time(device.created_at);
        [device.id.to_string(), facts.name.clone(), system, facts.ip.clone(), since, approves]
    };
    let rows = devices.iter().map(row).collect::<Vec<_>>();
    output::table(
        ["id", "name", "system", "address", "since", ""],
        &rows,
        "no device is logged in to this account",
    )
}

fn as_value(device: &Device) -> serde_json::Value {
    let facts = &device.facts;
    json!({
        "id": device.id.0, "name": facts.name, "device_type": facts.device_type, "os": facts.os,
        "browser": facts.browser, "location": facts.location, "ip": facts.ip,
        "approving": device.approving, "created_at": output::time(device.created_at),
    })
}

async fn revoke(auth: &Auth, device: DeviceId) -> anyhow::Result<()> {
    let unknown = |error| match error == auth::Error::NotFound {
        true => anyhow!(
            "there is no device {device}, or it is revoked already: see `readylogin device list --help`"
        ),
        false => words(error),
    };
    let owner = auth.device_owner(device).await.map_err(unknown)?;
    auth.end_device(owner, device).await.map_err(unknown)?;
    output::line(&format!("device {device} is revoked"))
}
