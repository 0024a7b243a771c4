//! Letters in German.

use super::{Methods, Template, Templates};

pub(super) const TEMPLATES: Templates = Templates {
    when: "Wann",
    from: "Von",
    methods: Methods {
        email: "Codes per E-Mail",
        mobile: "Freigabe per Telefon",
        authenticator: "Authentifizierungs-App",
        backup_code: "Ersatzcodes",
    },
    registration_tried: Template {
        subject: "Jemand wollte sich mit Ihrer Adresse registrieren",
        what: "Jemand wollte mit dieser Adresse ein Konto anlegen. Sie haben schon eines, darum wurde nichts geändert.",
        advice: "Wenn Sie es waren, melden Sie sich einfach an. Wenn nicht, müssen Sie nichts tun.",
    },
    phone_added: Template {
        subject: "Ein Telefon darf Ihre Anmeldungen freigeben",
        what: "Ab jetzt darf das Gerät „{device}“ Anmeldungen an Ihrem Konto freigeben.",
        advice: "Wenn Sie es nicht waren, melden Sie sich an, entziehen Sie dem Gerät das Recht und ändern Sie Ihr Passwort.",
    },
    phone_removed: Template {
        subject: "Ein Telefon darf Ihre Anmeldungen nicht mehr freigeben",
        what: "Das Gerät „{device}“ darf Anmeldungen an Ihrem Konto nicht mehr freigeben.",
        advice: "Wenn Sie es nicht waren, melden Sie sich an, geben Sie ihm das Recht wieder und ändern Sie Ihr Passwort.",
    },
    codes_replaced: Template {
        subject: "Sie haben neue Ersatzcodes",
        what: "Für Ihr Konto wurden zehn neue Ersatzcodes erzeugt; die alten sind wertlos.",
        advice: "Wenn Sie es nicht waren, melden Sie sich an, erzeugen Sie neue und ändern Sie Ihr Passwort.",
    },
    factor_removed: Template {
        subject: "Ein zweiter Faktor wurde abgeschaltet",
        what: "Dies schützt Ihr Konto nicht mehr: {method}.",
        advice: "Wenn Sie es nicht waren, melden Sie sich an, schalten Sie ihn wieder ein und ändern Sie Ihr Passwort.",
    },
    password_changed: Template {
        subject: "Ihr Passwort wurde geändert",
        what: "Das Passwort Ihres Kontos wurde geändert, und andere Sitzungen wurden beendet.",
        advice: "Wenn Sie es nicht waren, bitten Sie sofort den Betreiber dieses Dienstes um Hilfe.",
    },
    locked: Template {
        subject: "Zu viele falsche Codes",
        what: "Nach zu vielen falschen Codes werden für Ihr Konto eine Weile keine Codes angenommen. Ein Telefon, das Ihre \
               Anmeldungen freigeben darf, geht weiterhin.",
        advice: "Wenn Sie es nicht waren, kennt jemand Ihr Passwort: Ändern Sie es.",
    },
    login_code: Template {
        subject: "Ihr Anmeldecode",
        what: "Ihr Code für die Anmeldung:\n\n{code}\n\nEr gilt einmal, {minutes} min lang.",
        advice: "Wenn Sie es nicht waren, kennt vielleicht jemand Ihr Passwort: Ändern Sie es. Sagen Sie diesen Code \
                 niemals jemandem.",
    },
    enable_code: Template {
        subject: "Bestätigen Sie Ihre Adresse",
        what: "Ihr Code, um Codes per E-Mail einzuschalten:\n\n{code}\n\nEr gilt einmal, {minutes} min lang.",
        advice: "Wenn Sie es nicht waren, ändern Sie Ihr Passwort. Sagen Sie diesen Code niemals jemandem.",
    },
    factor_added: Template {
        subject: "Ein zweiter Faktor wurde eingeschaltet",
        what: "Ab jetzt schützt dies Ihr Konto: {method}.",
        advice: "Wenn Sie es nicht waren, melden Sie sich an, schalten Sie ihn ab und ändern Sie Ihr Passwort.",
    },
    two_factor_off: Template {
        subject: "Die Anmeldung mit zwei Faktoren wurde abgeschaltet",
        what: "Kein zweiter Faktor schützt mehr Ihr Konto: Das Passwort allein öffnet es.",
        advice: "Wenn Sie es nicht waren, melden Sie sich an, schalten Sie sie wieder ein und ändern Sie Ihr Passwort.",
    },
    codes_low: Template {
        subject: "Ihre Ersatzcodes gehen zur Neige",
        what: "Mit einem Ersatzcode hat sich jemand angemeldet. Übrige Codes: {left}.",
        advice: "Wenn Sie es nicht waren, melden Sie sich an, erzeugen Sie neue und ändern Sie Ihr Passwort.",
    },
    device_trusted: Template {
        subject: "Einem Gerät wird jetzt vertraut",
        what: "Das Gerät „{device}“ wird eine Weile nicht nach einem zweiten Faktor gefragt.",
        advice: "Wenn Sie es nicht waren, melden Sie sich an, entziehen Sie ihm das Vertrauen und ändern Sie Ihr Passwort.",
    },
};
