//! Letters in Spanish.

use super::{Methods, Template, Templates};

pub(super) const TEMPLATES: Templates = Templates {
    when: "Cuándo",
    from: "Desde",
    methods: Methods {
        email: "códigos por correo",
        mobile: "aprobación por teléfono",
        authenticator: "aplicación de autenticación",
        backup_code: "códigos de respaldo",
    },
    registration_tried: Template {
        subject: "Alguien quiso registrarse con su dirección",
        what: "Alguien quiso crear una cuenta con esta dirección. Usted ya tiene una, así que no se cambió nada.",
        advice: "Si fue usted, simplemente inicie sesión. Si no, no tiene que hacer nada.",
    },
    phone_added: Template {
        subject: "Un teléfono puede aprobar sus inicios de sesión",
        what: "Desde ahora el dispositivo «{device}» puede aprobar inicios de sesión en su cuenta.",
        advice: "Si no fue usted, inicie sesión, revoque ese dispositivo y cambie su contraseña.",
    },
    phone_removed: Template {
        subject: "Un teléfono ya no puede aprobar sus inicios de sesión",
        what: "El dispositivo «{device}» ya no puede aprobar inicios de sesión en su cuenta.",
        advice: "Si no fue usted, inicie sesión, autorícelo de nuevo y cambie su contraseña.",
    },
    codes_replaced: Template {
        subject: "Tiene nuevos códigos de respaldo",
        what: "Se crearon diez nuevos códigos de respaldo para su cuenta; los antiguos ya no valen.",
        advice: "Si no fue usted, inicie sesión, cree otros nuevos y cambie su contraseña.",
    },
    factor_removed: Template {
        subject: "Se desactivó un segundo factor",
        what: "Esto ya no protege su cuenta: {method}.",
        advice: "Si no fue usted, inicie sesión, actívelo de nuevo y cambie su contraseña.",
    },
    password_changed: Template {
        subject: "Se cambió su contraseña",
        what: "Se cambió la contraseña de su cuenta y terminaron las demás sesiones.",
        advice: "Si no fue usted, pida ayuda de inmediato a quien opera este servicio.",
    },
    locked: Template {
        subject: "Demasiados códigos erróneos",
        what: "Tras demasiados códigos erróneos, durante un rato no se aceptan códigos para su cuenta. Un teléfono que \
               puede aprobar sus inicios de sesión sigue funcionando.",
        advice: "Si no fue usted, alguien conoce su contraseña: cámbiela.",
    },
    login_code: Template {
        subject: "Su código de inicio de sesión",
        what: "Su código para iniciar sesión:\n\n{code}\n\nVale una vez, durante {minutes} min.",
        advice: "Si no fue usted, quizá alguien conozca su contraseña: cámbiela. Nunca diga este código a nadie.",
    },
    enable_code: Template {
        subject: "Confirme su dirección",
        what: "Su código para activar los códigos por correo:\n\n{code}\n\nVale una vez, durante {minutes} min.",
        advice: "Si no fue usted, cambie su contraseña. Nunca diga este código a nadie.",
    },
    factor_added: Template {
        subject: "Se activó un segundo factor",
        what: "Desde ahora esto protege su cuenta: {method}.",
        advice: "Si no fue usted, inicie sesión, desactívelo y cambie su contraseña.",
    },
    two_factor_off: Template {
        subject: "Se desactivó el inicio de sesión con dos factores",
        what: "Ningún segundo factor protege ya su cuenta: la contraseña sola la abre.",
        advice: "Si no fue usted, inicie sesión, actívelo de nuevo y cambie su contraseña.",
    },
    codes_low: Template {
        subject: "Le quedan pocos códigos de respaldo",
        what: "Se usó un código de respaldo para iniciar sesión. Códigos restantes: {left}.",
        advice: "Si no fue usted, inicie sesión, cree otros nuevos y cambie su contraseña.",
    },
    device_trusted: Template {
        subject: "Ahora se confía en un dispositivo",
        what: "Al dispositivo «{device}» no se le pide un segundo factor durante un tiempo.",
        advice: "Si no fue usted, inicie sesión, retire esa confianza y cambie su contraseña.",
    },
};
