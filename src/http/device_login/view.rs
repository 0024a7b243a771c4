//! Accounts and sessions as the device-aware login shows them: every key of the documented answers, in their order.

use serde::Serialize;

use crate::domain::account::{Account, SignIn};
use crate::domain::time::Timestamp;
use crate::http::Http;
use crate::http::two_factor::time;
use crate::store::sessions::{Listed, Live};

/// `account`.
#[derive(Serialize)]
pub(super) struct AccountView {
    failed_attempts: i64,
    id: i64,
    uuid: uuid::Uuid,
    email: String,
    phone: Option<String>,
    /// Always null: telling it was a defect of the original.
    password_digest: (),
    accountable_type: String,
    accountable_id: i64,
    role_id: Option<usize>,
    remember_created_at: Option<String>,
    sign_in_count: i64,
    current_sign_in_at: Option<String>,
    last_sign_in_at: Option<String>,
    current_sign_in_ip: Option<String>,
    last_sign_in_ip: Option<String>,
    account_confirmed_at: Option<String>,
    account_confirmed: bool,
    unlock_token: (),
    locked_at: Option<String>,
    two_factor_enabled: bool,
    provider: &'static str,
    provider_uid: (),
    created_at: String,
    updated_at: String,
}

impl AccountView {
    pub(super) fn of(http: &Http, account: &Account, two_factor: bool) -> Self {
        let kinds = &http.auth.config.accounts.kinds;
        let place = kinds.iter().position(|kind| kind.id == account.kind);
        let kind = place.map_or(account.kind.as_str(), |place| &kinds[place].name);
        let (latest, before) = (account.sign_ins.latest.as_ref(), account.sign_ins.before.as_ref());
        let at = |sign_in: Option<&SignIn>| sign_in.map(|sign_in| time(sign_in.at));
        let ip = |sign_in: Option<&SignIn>| sign_in.map(|sign_in| sign_in.ip.clone());
        let is_locked = account.block_left(http.auth.clock.now()).is_some();
        Self {
            failed_attempts: account.failed_attempts,
            id: account.id.0,
            uuid: account.uuid,
            email: account.email.as_given().to_owned(),
            phone: account.phone.clone(),
            password_digest: (),
            accountable_type: capitalised(kind),
            accountable_id: account.id.0,
            role_id: place.map(|place| place + 1),
            remember_created_at: account.remembered_at.map(time),
            sign_in_count: account.sign_ins.count,
            current_sign_in_at: at(latest),
            last_sign_in_at: at(before),
            current_sign_in_ip: ip(latest),
            last_sign_in_ip: ip(before),
            account_confirmed_at: account.verified_at.map(time),
            account_confirmed: account.verified,
            unlock_token: (),
            locked_at: account.blocked_at.filter(|_| is_locked).map(time),
            two_factor_enabled: two_factor,
            provider: "local",
            provider_uid: (),
            created_at: time(account.created_at),
            updated_at: time(account.updated_at),
        }
    }
}

fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// One of `sessions`.
#[derive(Serialize)]
pub(super) struct SessionView {
    session_uuid: uuid::Uuid,
    device_id: i64,
    device_name: String,
    device_type: String,
    device_os: String,
    browser: String,
    location: String,
    ip_address: String,
    created_at: String,
    last_used_at: String,
    last_ip: String,
    expires_at: String,
    amr: Vec<String>,
    acr: String,
    approving: bool,
    current: bool,
}

impl SessionView {
    pub(super) fn of(listed: Listed, asker: &Live) -> Self {
        let Listed { live, device_type, os, browser, location } = listed;
        let seen_at = live.seen_at.unwrap_or(Timestamp::default()).max(live.renewed_at);
        let last_ip = if live.seen_ip.is_empty() { live.ip.clone() } else { live.seen_ip };
        Self {
            session_uuid: live.id.0,
            device_id: live.device.0,
            device_name: live.device_name,
            device_type,
            device_os: os,
            browser,
            location,
            ip_address: live.ip,
            created_at: time(live.created_at),
            last_used_at: time(seen_at),
            last_ip,
            expires_at: time(live.expires_at),
            amr: live.amr.split(' ').map(str::to_owned).collect(),
            acr: live.acr,
            approving: live.approving,
            current: live.id == asker.id,
        }
    }
}
