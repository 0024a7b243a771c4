//! A node that freezes in the middle of a unit of work, as a stopped process or a suspended machine does: on PostgreSQL the
//! locks that it holds are gone within seconds, and other nodes serve everybody meanwhile.

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::JoinSet;

use crate::harness::{
    Answer, Person, Process, StoreKind, all_settings, await_number, soon, store_kind, store_url, url_of,
};

const GENERATE: &str = "/2fa/method/third_party/generate";

/// Backends that wait for a lock.
const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
/// Transactions that wait for their client to say something: a hundred for each that holds its locks, one for each that has
/// waited for a lock too long itself and holds none any more.
const OPEN: &str = "SELECT coalesce(sum(CASE state WHEN 'idle in transaction' THEN 100 ELSE 1 END), 0)::bigint \
     FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";

/// Two nodes on one store.
struct Pair {
    a: Process,
    b: Process,
    settings: Vec<(String, String)>,
    _folder: tempfile::TempDir,
}

impl Pair {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = store_url(folder.path()).await;
        let settings = all_settings(&[("SERVER__PUBLIC_URL", "http://localhost:1")], &url, folder.path());
        let a = Process::start(&["serve"], &settings, folder.path()).await;
        let b = Process::start(&["serve"], &settings, folder.path()).await;
        Self { a, b, settings, _folder: folder }
    }

    async fn person(&self, name: &str) -> Person {
        Person::register(&self.a.http, "p", &format!("{name}@example.org")).await
    }

    /// Lets the first node begin these requests, each of which writes to `table` in the middle of its unit, and freezes it
    /// there: what was written is in its transactions, and their locks are held.
    async fn freeze<F: Future<Output = Answer> + Send + 'static>(
        &self,
        table: &str,
        requests: impl Fn() -> Vec<F>,
    ) -> JoinSet<Answer> {
        for _ in 0..10 {
            let mut lock = PgConnection::connect(url_of(&self.settings)).await.unwrap();
            lock.execute("BEGIN").await.unwrap();
            let sql = format!("LOCK TABLE {table} IN SHARE MODE");
            lock.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
            let mut answers: JoinSet<Answer> = requests().into_iter().collect();
            let count = i64::try_from(answers.len()).unwrap();
            await_number(&self.settings, WAITING, |waiting| waiting >= count).await;
            self.a.signal("STOP").await;
            lock.execute("ROLLBACK").await.unwrap();
            let open = await_number(&self.settings, OPEN, |open| open % 100 + open / 100 >= count).await;
            if open == 100 * count {
                return answers;
            }
            // This machine was slow, and some had waited too long for the table.
            self.a.signal("CONT").await;
            while answers.join_next().await.is_some() {}
        }
        panic!("no unit could be stopped in the middle");
    }
}

async fn login(person: Person) -> Answer {
    person.post("login", &json!({})).await
}

#[tokio::test]
async fn who_logs_in_elsewhere_does_not_wait_for_a_node_that_froze_in_a_unit() {
    if store_kind() != StoreKind::Postgres {
        return;
    }
    let pair = Pair::start().await;
    let mut people = Vec::new();
    for name in ["ann", "cid", "dee", "eve", "fay"] {
        people.push(pair.person(name).await);
    }
    let bob = pair.person("bob").await;
    let begun = || people.iter().cloned().map(login).collect();
    let mut answers = pair.freeze("sessions", begun).await;

    for _ in 0..5 {
        bob.at(&pair.b).post("login", &json!({})).await.token();
    }
    // Whose accounts the frozen node had locked are told to come back, until PostgreSQL has ended its transactions.
    for person in &people {
        let person = person.at(&pair.b);
        let again = soon("a login", async || {
            let answer = person.post("login", &json!({})).await;
            if answer.status == 200 {
                return Some(());
            }
            assert_eq!(answer.expect(503).json()["error"], "busy");
            None
        });
        again.await;
    }

    // What was under way is lost, nobody was told otherwise, and the node heals by itself.
    pair.a.signal("CONT").await;
    while let Some(answer) = answers.join_next().await {
        assert_eq!(answer.unwrap().expect(503).json()["error"], "busy");
    }
    for person in people.iter().chain([&bob]) {
        person.post("login", &json!({})).await.token();
    }
}

#[tokio::test]
async fn owners_who_set_up_an_app_do_not_wait_for_each_other() {
    if store_kind() != StoreKind::Postgres {
        return;
    }
    let pair = Pair::start().await;
    let (ann, bob) = (pair.person("ann").await, pair.person("bob").await);
    let request = || {
        let (http, token) = (pair.a.http.clone(), ann.token.clone());
        vec![async move { http.send("POST", GENERATE, Some(&token), None).await }]
    };
    let mut answers = pair.freeze("totp_secrets", request).await;
    pair.b.http.send("POST", GENERATE, Some(&bob.token), None).await.expect(200);
    pair.a.signal("CONT").await;
    answers.join_next().await.unwrap().unwrap();
}
