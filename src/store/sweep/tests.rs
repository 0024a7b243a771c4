//! No statement of the clean-up takes longer the larger a table is.

use super::super::plans;
use super::*;

const ACCOUNT: &str = "INSERT INTO accounts (id, uuid, kind, email, email_key, name, password, password_version, verified, created_at, updated_at) \
     VALUES (1, 'x', 'p', 'a@example.org', 'a@example.org', '', '', 1, 0, 1, 1)";
const DEVICES: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) \
     INSERT INTO devices (id, account_id, device_type, name, os, browser, location, ip, created_at) \
     SELECT 2 * i, 1, '', '', '', '', '', '', 1 FROM n";
const SESSIONS: &str = "INSERT INTO sessions (uuid, account_id, device_id, client_id, amr, acr, auth_time, proved_at, created_at, expires_at) \
     SELECT 'session of ' || id, 1, id, '', '', '', 1, 1, 1, 1 FROM devices WHERE id NOT IN (4, 2400)";

#[tokio::test]
async fn no_statement_of_the_clean_up_goes_through_a_table() {
    let steps = STATEMENTS.map(|(sql, _)| sql);
    plans::check(&[&steps[..], &[AUDIT, WINDOW_END, IDLE_DEVICES, REMOVE_DEVICE]].concat()).await;
}

#[tokio::test]
async fn a_look_at_devices_ends_with_its_window_however_few_are_idle() {
    let (store, _folder) = plans::store().await;
    for sql in [ACCOUNT, DEVICES, SESSIONS] {
        store.write(move |tx| Box::pin(async move { tx.execute(sql, []).await })).await.unwrap();
    }
    let now = Timestamp(0).plus(2 * DAY);
    let look = async |after| {
        let look = store.read(move |tx| Box::pin(idle_devices(tx, after, now))).await.unwrap();
        (look.idle, look.last)
    };
    assert_eq!(look(0).await, (vec![4], Some(1000)));
    assert_eq!(look(1000).await, (vec![], Some(2000)));
    assert_eq!(look(2000).await, (vec![2400], Some(2400)));
    assert_eq!(look(2400).await, (vec![], None));
}
