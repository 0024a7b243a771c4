//! Letters in French.

use super::{Methods, Template, Templates};

pub(super) const TEMPLATES: Templates = Templates {
    when: "Quand",
    from: "Depuis",
    methods: Methods {
        email: "codes par e-mail",
        mobile: "approbation par téléphone",
        authenticator: "application d’authentification",
        backup_code: "codes de secours",
    },
    registration_tried: Template {
        subject: "Quelqu’un a voulu s’inscrire avec votre adresse",
        what: "Quelqu’un a voulu créer un compte avec cette adresse. Vous en avez déjà un, rien n’a donc été changé.",
        advice: "Si c’était vous, connectez-vous simplement. Sinon, vous n’avez rien à faire.",
    },
    phone_added: Template {
        subject: "Un téléphone peut approuver vos connexions",
        what: "À partir de maintenant, l’appareil « {device} » peut approuver les connexions à votre compte.",
        advice: "Si ce n’était pas vous, connectez-vous, révoquez cet appareil et changez de mot de passe.",
    },
    phone_removed: Template {
        subject: "Un téléphone ne peut plus approuver vos connexions",
        what: "L’appareil « {device} » ne peut plus approuver les connexions à votre compte.",
        advice: "Si ce n’était pas vous, connectez-vous, autorisez-le à nouveau et changez de mot de passe.",
    },
    codes_replaced: Template {
        subject: "Vous avez de nouveaux codes de secours",
        what: "Dix nouveaux codes de secours ont été créés pour votre compte ; les anciens ne valent plus rien.",
        advice: "Si ce n’était pas vous, connectez-vous, créez-en de nouveaux et changez de mot de passe.",
    },
    factor_removed: Template {
        subject: "Un second facteur a été désactivé",
        what: "Ceci ne protège plus votre compte : {method}.",
        advice: "Si ce n’était pas vous, connectez-vous, réactivez-le et changez de mot de passe.",
    },
    password_changed: Template {
        subject: "Votre mot de passe a été changé",
        what: "Le mot de passe de votre compte a été changé et les autres sessions ont pris fin.",
        advice: "Si ce n’était pas vous, demandez tout de suite de l’aide à l’exploitant de ce service.",
    },
    locked: Template {
        subject: "Trop de codes erronés",
        what: "Après trop de codes erronés, les codes ne sont plus acceptés pour votre compte pendant un moment. Un \
               téléphone qui peut approuver vos connexions fonctionne toujours.",
        advice: "Si ce n’était pas vous, quelqu’un connaît votre mot de passe : changez-le.",
    },
    login_code: Template {
        subject: "Votre code de connexion",
        what: "Votre code pour vous connecter :\n\n{code}\n\nIl est valable une fois, pendant {minutes} min.",
        advice: "Si ce n’était pas vous, quelqu’un connaît peut-être votre mot de passe : changez-le. Ne donnez jamais ce \
                 code à personne.",
    },
    enable_code: Template {
        subject: "Confirmez votre adresse",
        what: "Votre code pour activer les codes par e-mail :\n\n{code}\n\nIl est valable une fois, pendant {minutes} min.",
        advice: "Si ce n’était pas vous, changez de mot de passe. Ne donnez jamais ce code à personne.",
    },
    factor_added: Template {
        subject: "Un second facteur a été activé",
        what: "À partir de maintenant, ceci protège votre compte : {method}.",
        advice: "Si ce n’était pas vous, connectez-vous, désactivez-le et changez de mot de passe.",
    },
    two_factor_off: Template {
        subject: "La connexion à deux facteurs a été désactivée",
        what: "Plus aucun second facteur ne protège votre compte : le mot de passe seul l’ouvre.",
        advice: "Si ce n’était pas vous, connectez-vous, réactivez-la et changez de mot de passe.",
    },
    codes_low: Template {
        subject: "Il vous reste peu de codes de secours",
        what: "Un code de secours a servi à se connecter. Codes restants : {left}.",
        advice: "Si ce n’était pas vous, connectez-vous, créez-en de nouveaux et changez de mot de passe.",
    },
    device_trusted: Template {
        subject: "Un appareil est désormais de confiance",
        what: "Pendant un certain temps, aucun second facteur n’est demandé à l’appareil « {device} ».",
        advice: "Si ce n’était pas vous, connectez-vous, retirez cette confiance et changez de mot de passe.",
    },
};
