//! Letters in English.

use super::{Methods, Template, Templates};

pub(super) const TEMPLATES: Templates = Templates {
    when: "When",
    from: "From",
    methods: Methods {
        email: "codes by mail",
        mobile: "approval by phone",
        authenticator: "authenticator app",
        backup_code: "backup codes",
    },
    registration_tried: Template {
        subject: "Somebody tried to register with your address",
        what: "Somebody tried to make an account with this address. You have one already, so nothing was changed.",
        advice: "If it was you, just log in. If it was not, you need not do anything.",
    },
    phone_added: Template {
        subject: "A phone may approve your logins",
        what: "From now on the device \"{device}\" may approve logins to your account.",
        advice: "If it was not you, log in, revoke that device and change your password.",
    },
    phone_removed: Template {
        subject: "A phone may not approve your logins any more",
        what: "The device \"{device}\" may not approve logins to your account any more.",
        advice: "If it was not you, log in, trust it again and change your password.",
    },
    codes_replaced: Template {
        subject: "You have new backup codes",
        what: "Ten new backup codes were made for your account; the old ones are worth nothing.",
        advice: "If it was not you, log in, make new ones and change your password.",
    },
    factor_removed: Template {
        subject: "A second factor was turned off",
        what: "This no longer protects your account: {method}.",
        advice: "If it was not you, log in, turn it on again and change your password.",
    },
    password_changed: Template {
        subject: "Your password was changed",
        what: "The password of your account was changed, and other sessions have ended.",
        advice: "If it was not you, ask the operator of this service for help at once.",
    },
    locked: Template {
        subject: "Too many wrong codes",
        what: "After too many wrong codes, codes are not accepted for your account for a while. A phone that may approve \
               your logins still works.",
        advice: "If it was not you, somebody knows your password: change it.",
    },
    login_code: Template {
        subject: "Your login code",
        what: "Your code to log in with:\n\n{code}\n\nIt works once, within {minutes} min.",
        advice: "If it was not you, somebody may know your password: change it. Never tell this code to anybody.",
    },
    enable_code: Template {
        subject: "Confirm your address",
        what: "Your code to turn mailed codes on with:\n\n{code}\n\nIt works once, within {minutes} min.",
        advice: "If it was not you, change your password. Never tell this code to anybody.",
    },
    factor_added: Template {
        subject: "A second factor was turned on",
        what: "From now on this protects your account: {method}.",
        advice: "If it was not you, log in, turn it off and change your password.",
    },
    two_factor_off: Template {
        subject: "Two-factor login was turned off",
        what: "No second factor protects your account any more: the password alone opens it.",
        advice: "If it was not you, log in, turn it on again and change your password.",
    },
    codes_low: Template {
        subject: "Your backup codes are running low",
        what: "A backup code was used to log in. Codes left: {left}.",
        advice: "If it was not you, log in, make new ones and change your password.",
    },
    device_trusted: Template {
        subject: "A device is trusted now",
        what: "The device \"{device}\" is not asked for a second factor for a while.",
        advice: "If it was not you, log in, revoke that trust and change your password.",
    },
};
