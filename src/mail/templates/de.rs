//! Letters in German.

use super::words::{BoundLabels, Labels, Words};
use crate::domain::factor::Method;
use crate::mail::letter::Letter;

pub(super) const LABELS: Labels = Labels {
    when: "Wann:",
    from: "Von:",
    bound: BoundLabels {
        phones: "Telefone, die bestätigen dürfen:",
        devices: "Angemeldet:",
        trusted: "Nicht nach einem zweiten Faktor gefragt:",
        factors: "Zweite Faktoren:",
    },
};

pub(super) fn method(method: Method) -> &'static str {
    match method {
        Method::Email => "Codes per E-Mail",
        Method::Mobile => "Bestätigung am Telefon",
        Method::Authenticator => "Authenticator-App",
        Method::BackupCode => "Ersatzcodes",
    }
}

pub(super) fn repeated(times: i64) -> String {
    match times {
        1 => "Seit unserem letzten Brief darüber ist es noch einmal geschehen.".to_owned(),
        more => format!("Seit unserem letzten Brief darüber ist es noch {more} Mal geschehen."),
    }
}

pub(super) fn late(times: i64) -> String {
    match times {
        1 => "Dieser Brief kommt verspätet, weil zu viel Post wartete. Es ist einmal geschehen.".to_owned(),
        more => format!(
            "Dieser Brief kommt verspätet, weil zu viel Post wartete. Es ist inzwischen {more} Mal geschehen."
        ),
    }
}

fn validity(minutes: u64) -> String {
    match minutes {
        1 => "Er gilt eine Minute lang und nur einmal.".to_owned(),
        more => format!("Er gilt {more} Minuten lang und nur einmal."),
    }
}

fn words_validity(minutes: u64) -> String {
    match minutes {
        1 => "Sie gelten eine Minute lang und nur einmal.".to_owned(),
        more => format!("Sie gelten {more} Minuten lang und nur einmal."),
    }
}

#[expect(clippy::too_many_lines, reason = "a table: an arm for each letter")]
pub(super) fn words(letter: Letter<'_>, device: &str) -> Words {
    match letter {
        Letter::RegistrationTried { .. } => Words::new(
            "Jemand wollte sich mit Ihrer Adresse registrieren",
            "Jemand wollte mit dieser Adresse ein Konto anlegen. Sie haben schon eines; es wurde nichts geändert.",
            "Wenn Sie das waren, melden Sie sich einfach an. Wenn nicht, müssen Sie nichts tun.",
        ),
        Letter::PhoneAdded { .. } => Words::new(
            "Ein Telefon darf Ihre Anmeldungen bestätigen",
            format!("Ab jetzt darf das Gerät „{device}“ Anmeldungen bei Ihrem Konto bestätigen."),
            "Wenn Sie das nicht waren, melden Sie sich an, entfernen Sie dieses Gerät und ändern Sie Ihr Passwort.",
        ),
        Letter::PhoneRemoved { .. } => Words::new(
            "Ein Telefon darf Ihre Anmeldungen nicht mehr bestätigen",
            format!("Das Gerät „{device}“ darf Anmeldungen bei Ihrem Konto nicht mehr bestätigen."),
            "Wenn Sie das nicht waren, melden Sie sich an, lassen Sie es wieder zu und ändern Sie Ihr Passwort.",
        ),
        Letter::CodesReplaced { .. } => Words::new(
            "Sie haben neue Ersatzcodes",
            "Für Ihr Konto wurden zehn neue Ersatzcodes erzeugt; die alten sind wertlos.",
            "Wenn Sie das nicht waren, melden Sie sich an, erzeugen Sie neue und ändern Sie Ihr Passwort.",
        ),
        Letter::FactorRemoved { method: off, .. } => Words::new(
            "Ein zweiter Faktor wurde abgeschaltet",
            format!("Dieser zweite Faktor schützt Ihr Konto nicht mehr: {}.", method(off)),
            "Wenn Sie das nicht waren, melden Sie sich an, schalten Sie ihn wieder ein und ändern Sie Ihr Passwort.",
        ),
        Letter::PasswordChanged { .. } => Words::new(
            "Ihr Passwort wurde geändert",
            "Das Passwort Ihres Kontos wurde geändert, andere Sitzungen wurden beendet.",
            "Wenn Sie das nicht waren, bitten Sie sofort den Betreiber dieses Dienstes um Hilfe.",
        ),
        Letter::RefreshReused { .. } => Words::new(
            "Eine Sitzung wurde zu Ihrer Sicherheit beendet",
            format!(
                "Ein schon ersetztes Token des Geräts „{device}“ wurde noch einmal vorgezeigt. Vielleicht wurde es \
                 kopiert; das Gerät ist deshalb abgemeldet."
            ),
            "Wenn die Daten des Geräts nicht eben wiederhergestellt wurden, ändern Sie Ihr Passwort.",
        ),
        Letter::Locked { .. } => Words::new(
            "Zu viele falsche Codes",
            "Nach zu vielen falschen Codes werden für Ihr Konto eine Weile keine Codes angenommen. Ein Telefon, das \
             Ihre Anmeldungen bestätigen darf, funktioniert weiterhin.",
            "Wenn Sie das nicht waren, kennt jemand Ihr Passwort: Ändern Sie es.",
        ),
        Letter::FingerprintsGuessed { .. } => Words::new(
            "Jemand probiert Ihre vertrauten Geräte durch",
            "Jemand, der Ihr Passwort kennt, hat sich immer wieder von Geräten aus angemeldet, denen Sie nicht vertrauen. Eine Zeit lang wird jedes Gerät nach einem zweiten Faktor gefragt.",
            "Wenn Sie das nicht waren, ändern Sie Ihr Passwort.",
        ),
        Letter::LoginCode { minutes, .. } => Words::with_code(
            "Ihr Anmeldecode",
            "Ihr Code für die Anmeldung:",
            validity(minutes),
            "Wenn Sie das nicht waren, kennt vielleicht jemand Ihr Passwort: Ändern Sie es. Geben Sie diesen Code \
             niemals weiter.",
        ),
        Letter::EnableCode { minutes, .. } => Words::with_code(
            "Bestätigen Sie Ihre Adresse",
            "Ihr Code, um Codes per E-Mail einzuschalten:",
            validity(minutes),
            "Wenn Sie das nicht waren, ändern Sie Ihr Passwort. Geben Sie diesen Code niemals weiter.",
        ),
        Letter::FactorAdded { method: on, .. } => Words::new(
            "Ein zweiter Faktor wurde eingeschaltet",
            format!("Ab jetzt schützt dieser zweite Faktor Ihr Konto: {}.", method(on)),
            "Wenn Sie das nicht waren, melden Sie sich an, schalten Sie ihn ab und ändern Sie Ihr Passwort.",
        ),
        Letter::TwoFactorOff { .. } => Words::new(
            "Die Anmeldung mit zwei Faktoren wurde abgeschaltet",
            "Kein zweiter Faktor schützt Ihr Konto mehr: Das Passwort allein öffnet es.",
            "Wenn Sie das nicht waren, melden Sie sich an, schalten Sie sie wieder ein und ändern Sie Ihr Passwort.",
        ),
        Letter::CodesLow { left, .. } => Words::new(
            "Ihre Ersatzcodes gehen zur Neige",
            match left {
                0 => "Ein Ersatzcode wurde für eine Anmeldung benutzt; es war der letzte.".to_owned(),
                1 => "Ein Ersatzcode wurde für eine Anmeldung benutzt; Sie haben noch einen.".to_owned(),
                more => {
                    format!("Ein Ersatzcode wurde für eine Anmeldung benutzt; Sie haben noch {more}.")
                }
            },
            "Wenn Sie das waren, erzeugen Sie rechtzeitig neue. Wenn nicht, melden Sie sich an, erzeugen Sie neue \
             und ändern Sie Ihr Passwort.",
        ),
        Letter::DeviceTrusted { .. } => Words::new(
            "Einem Gerät wird jetzt vertraut",
            format!("Das Gerät „{device}“ wird eine Weile nicht nach einem zweiten Faktor gefragt."),
            "Wenn Sie das nicht waren, melden Sie sich an, widerrufen Sie dieses Vertrauen und ändern Sie Ihr \
             Passwort.",
        ),
        Letter::Words { minutes, .. } => Words::with_code(
            "Ihre Wörter für die Anmeldung",
            "Ihre drei Wörter für die Anmeldung:",
            words_validity(minutes),
            "Wenn Sie das nicht waren, müssen Sie nichts tun: Ohne diese Wörter kommt niemand weiter. Geben Sie \
             sie niemals weiter.",
        ),
        Letter::PasswordRecovered { .. } => Words::new(
            "Ihr Passwort wurde neu gesetzt",
            "Für Ihr Konto wurde über diese Adresse ein neues Passwort gesetzt, alle Sitzungen wurden beendet. \
             Bis zu Ihrer nächsten Anmeldung gelten Codes per E-Mail nicht als zweiter Faktor.",
            "Wenn Sie das nicht waren, liest jemand Ihre E-Mail: Ändern Sie deren Passwort und bitten Sie dann \
             sofort den Betreiber dieses Dienstes um Hilfe.",
        ),
        Letter::AddressProven { .. } => Words::new(
            "Ihre Adresse ist bestätigt",
            "Ihre Adresse wurde zum ersten Mal bestätigt. Was mit Ihrem Konto verbunden ist, \
             steht hier.",
            "Wenn etwas davon nicht Ihnen gehört, melden Sie sich an, entfernen Sie es und \
             ändern Sie Ihr Passwort.",
        ),
        Letter::Reclaimed { .. } => Words::new(
            "Was mit Ihrem Konto verbunden war, ist beendet",
            "Ihre Adresse wurde zum ersten Mal bestätigt, und zwar ohne das Passwort. Jemand \
             anders könnte sie registriert haben; darum sind alle bisherigen Sitzungen, Geräte, \
             zweiten Faktoren und Ersatzcodes beendet, und auch das bisherige Passwort gilt \
             nicht mehr.",
            "Wenn Sie noch kein neues Passwort gewählt haben, tun Sie das per E-Mail. Wenn Sie \
             das nicht waren, liest jemand Ihre E-Mail: Ändern Sie deren Passwort.",
        ),
    }
}
