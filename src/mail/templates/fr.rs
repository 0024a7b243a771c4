//! Letters in French.

use super::words::{BoundLabels, Labels, Words};
use crate::domain::factor::Method;
use crate::mail::letter::Letter;

pub(super) const LABELS: Labels = Labels {
    when: "Quand\u{a0}:",
    from: "Depuis\u{a0}:",
    bound: BoundLabels {
        phones: "Téléphones qui peuvent approuver\u{a0}:",
        devices: "Connectés\u{a0}:",
        trusted: "Dispensés du second facteur\u{a0}:",
        factors: "Seconds facteurs\u{a0}:",
    },
};

pub(super) fn method(method: Method) -> &'static str {
    match method {
        Method::Email => "codes par courriel",
        Method::Mobile => "approbation par téléphone",
        Method::Authenticator => "application d’authentification",
        Method::BackupCode => "codes de secours",
    }
}

pub(super) fn repeated(times: i64) -> String {
    match times {
        1 => "Depuis notre dernier courrier à ce sujet, cela s’est produit encore une fois.".to_owned(),
        more => format!("Depuis notre dernier courrier à ce sujet, cela s’est produit encore {more} fois."),
    }
}

pub(super) fn late(times: i64) -> String {
    match times {
        1 => "Ce courrier arrive en retard, car trop de courrier était en attente. Cela s’est produit une fois.".to_owned(),
        more => format!("Ce courrier arrive en retard, car trop de courrier était en attente. Cela s’est produit {more} fois depuis."),
    }
}

fn validity(minutes: u64) -> String {
    match minutes {
        1 => "Il est valable une minute et une seule fois.".to_owned(),
        more => format!("Il est valable {more} minutes et une seule fois."),
    }
}

fn words_validity(minutes: u64) -> String {
    match minutes {
        1 => "Ils sont valables une minute et une seule fois.".to_owned(),
        more => format!("Ils sont valables {more} minutes et une seule fois."),
    }
}

#[expect(clippy::too_many_lines, reason = "a table: an arm for each letter")]
pub(super) fn words(letter: Letter<'_>, device: &str) -> Words {
    match letter {
        Letter::RegistrationTried { .. } => Words::new(
            "Quelqu’un a essayé de s’inscrire avec votre adresse",
            "Quelqu’un a essayé de créer un compte avec cette adresse. Vous en avez déjà un\u{a0}; rien n’a été \
             modifié.",
            "Si c’était vous, connectez-vous simplement. Sinon, vous n’avez rien à faire.",
        ),
        Letter::PhoneAdded { .. } => Words::new(
            "Un téléphone peut approuver vos connexions",
            format!(
                "Désormais, l’appareil «\u{a0}{device}\u{a0}» peut approuver les connexions à votre compte."
            ),
            "Si ce n’était pas vous, connectez-vous, révoquez cet appareil et changez votre mot de passe.",
        ),
        Letter::PhoneRemoved { .. } => Words::new(
            "Un téléphone ne peut plus approuver vos connexions",
            format!(
                "L’appareil «\u{a0}{device}\u{a0}» ne peut plus approuver les connexions à votre compte."
            ),
            "Si ce n’était pas vous, connectez-vous, autorisez-le de nouveau et changez votre mot de passe.",
        ),
        Letter::CodesReplaced { .. } => Words::new(
            "Vous avez de nouveaux codes de secours",
            "Dix nouveaux codes de secours ont été créés pour votre compte\u{a0}; les anciens ne valent plus rien.",
            "Si ce n’était pas vous, connectez-vous, créez-en de nouveaux et changez votre mot de passe.",
        ),
        Letter::FactorRemoved { method: off, .. } => Words::new(
            "Un second facteur a été désactivé",
            format!("Ce second facteur ne protège plus votre compte\u{a0}: {}.", method(off)),
            "Si ce n’était pas vous, connectez-vous, réactivez-le et changez votre mot de passe.",
        ),
        Letter::PasswordChanged { .. } => Words::new(
            "Votre mot de passe a été changé",
            "Le mot de passe de votre compte a été changé et les autres sessions ont pris fin.",
            "Si ce n’était pas vous, demandez tout de suite de l’aide à l’exploitant de ce service.",
        ),
        Letter::RefreshReused { .. } => Words::new(
            "Une session a été fermée pour votre sécurité",
            format!(
                "Un jeton déjà remplacé de l’appareil «\u{a0}{device}\u{a0}» a été présenté de nouveau. Il a peut-être \
                 été copié\u{a0}; cet appareil est donc déconnecté."
            ),
            "Si les données de l’appareil n’ont pas été restaurées à l’instant, changez votre mot de passe.",
        ),
        Letter::Locked { .. } => Words::new(
            "Trop de codes erronés",
            "Après trop de codes erronés, les codes ne sont plus acceptés pour votre compte pendant un moment. Un \
             téléphone qui peut approuver vos connexions fonctionne toujours.",
            "Si ce n’était pas vous, quelqu’un connaît votre mot de passe\u{a0}: changez-le.",
        ),
        Letter::FingerprintsGuessed { .. } => Words::new(
            "Quelqu’un tente de passer pour vos appareils de confiance",
            "Quelqu’un qui connaît votre mot de passe s’est connecté à plusieurs reprises depuis des appareils auxquels vous ne faites pas confiance. Pendant un certain temps, un second facteur est demandé à tous les appareils.",
            "Si ce n’était pas vous, changez votre mot de passe.",
        ),
        Letter::LoginCode { minutes, .. } => Words::with_code(
            "Votre code de connexion",
            "Votre code pour vous connecter\u{a0}:",
            validity(minutes),
            "Si ce n’était pas vous, quelqu’un connaît peut-être votre mot de passe\u{a0}: changez-le. Ne donnez \
             jamais ce code à personne.",
        ),
        Letter::EnableCode { minutes, .. } => Words::with_code(
            "Confirmez votre adresse",
            "Votre code pour activer les codes par courriel\u{a0}:",
            validity(minutes),
            "Si ce n’était pas vous, changez votre mot de passe. Ne donnez jamais ce code à personne.",
        ),
        Letter::FactorAdded { method: on, .. } => Words::new(
            "Un second facteur a été activé",
            format!("Désormais, ce second facteur protège votre compte\u{a0}: {}.", method(on)),
            "Si ce n’était pas vous, connectez-vous, désactivez-le et changez votre mot de passe.",
        ),
        Letter::TwoFactorOff { .. } => Words::new(
            "La connexion à deux facteurs a été désactivée",
            "Plus aucun second facteur ne protège votre compte\u{a0}: le mot de passe seul l’ouvre.",
            "Si ce n’était pas vous, connectez-vous, réactivez-la et changez votre mot de passe.",
        ),
        Letter::CodesLow { left, .. } => Words::new(
            "Il vous reste peu de codes de secours",
            match left {
                0 => "Un code de secours a servi à une connexion\u{a0}; c’était le dernier.".to_owned(),
                1 => "Un code de secours a servi à une connexion\u{a0}; il vous en reste un.".to_owned(),
                more => {
                    format!("Un code de secours a servi à une connexion\u{a0}; il vous en reste {more}.")
                }
            },
            "Si c’était vous, créez-en de nouveaux à temps. Sinon, connectez-vous, créez-en de nouveaux et changez \
             votre mot de passe.",
        ),
        Letter::DeviceTrusted { .. } => Words::new(
            "Un appareil est désormais de confiance",
            format!(
                "Pendant un moment, aucun second facteur n’est demandé à l’appareil «\u{a0}{device}\u{a0}»."
            ),
            "Si ce n’était pas vous, connectez-vous, révoquez cette confiance et changez votre mot de passe.",
        ),
        Letter::Words { minutes, .. } => Words::with_code(
            "Vos mots pour vous connecter",
            "Vos trois mots pour vous connecter\u{a0}:",
            words_validity(minutes),
            "Si ce n’était pas vous, vous n’avez rien à faire\u{a0}: sans ces mots, personne n’ira plus loin. Ne \
             les donnez jamais à personne.",
        ),
        Letter::PasswordRecovered { .. } => Words::new(
            "Votre mot de passe a été récupéré",
            "Un nouveau mot de passe a été défini pour votre compte au moyen de cette adresse et toutes les \
             sessions ont pris fin. Jusqu’à votre prochaine connexion, les codes par courriel ne sont pas \
             acceptés comme second facteur.",
            "Si ce n’était pas vous, quelqu’un lit votre courrier\u{a0}: changez le mot de passe de votre \
             messagerie, puis demandez tout de suite de l’aide à l’exploitant de ce service.",
        ),
        Letter::AddressProven { .. } => Words::new(
            "Votre adresse est confirmée",
            "Votre adresse a été confirmée pour la première fois. Ce qui est lié à votre compte \
             figure ici.",
            "Si quelque chose n’est pas à vous, connectez-vous, supprimez-le et changez votre \
             mot de passe.",
        ),
        Letter::Reclaimed { .. } => Words::new(
            "Ce qui était lié à votre compte a pris fin",
            "Votre adresse a été confirmée pour la première fois, et sans le mot de passe. \
             Quelqu’un d’autre a pu l’inscrire\u{a0}; toutes les sessions, tous les appareils, \
             seconds facteurs et codes de secours d’avant ont donc pris fin, et le mot de passe \
             d’avant ne vaut plus rien.",
            "Si vous n’avez pas encore choisi de nouveau mot de passe, faites-le par courriel. \
             Si ce n’était pas vous, quelqu’un lit votre courrier\u{a0}: changez le mot de passe \
             de votre messagerie.",
        ),
    }
}
