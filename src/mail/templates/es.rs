//! Letters in Spanish.

use super::words::{BoundLabels, Labels, Words};
use crate::domain::factor::Method;
use crate::mail::letter::Letter;

pub(super) const LABELS: Labels = Labels {
    when: "Cuándo:",
    from: "Desde:",
    bound: BoundLabels {
        phones: "Teléfonos que pueden aprobar:",
        devices: "Con sesión iniciada:",
        trusted: "Sin pedir segundo factor:",
        factors: "Segundos factores:",
    },
};

pub(super) fn method(method: Method) -> &'static str {
    match method {
        Method::Email => "códigos por correo",
        Method::Mobile => "aprobación por teléfono",
        Method::Authenticator => "aplicación de autenticación",
        Method::BackupCode => "códigos de respaldo",
    }
}

pub(super) fn repeated(times: i64) -> String {
    match times {
        1 => "Desde nuestro último mensaje sobre esto ha ocurrido una vez más.".to_owned(),
        more => format!("Desde nuestro último mensaje sobre esto ha ocurrido {more} veces más."),
    }
}

pub(super) fn late(times: i64) -> String {
    match times {
        1 => "Este mensaje llega tarde porque había demasiado correo en espera. Ha ocurrido una vez."
            .to_owned(),
        more => format!(
            "Este mensaje llega tarde porque había demasiado correo en espera. Ha ocurrido ya {more} veces."
        ),
    }
}

fn validity(minutes: u64) -> String {
    match minutes {
        1 => "Vale un minuto y una sola vez.".to_owned(),
        more => format!("Vale {more} minutos y una sola vez."),
    }
}

fn words_validity(minutes: u64) -> String {
    match minutes {
        1 => "Valen un minuto y una sola vez.".to_owned(),
        more => format!("Valen {more} minutos y una sola vez."),
    }
}

#[expect(clippy::too_many_lines, reason = "a table: an arm for each letter")]
pub(super) fn words(letter: Letter<'_>, device: &str) -> Words {
    match letter {
        Letter::RegistrationTried { .. } => Words::new(
            "Alguien intentó registrarse con su dirección",
            "Alguien intentó crear una cuenta con esta dirección. Usted ya tiene una, así que no se ha cambiado nada.",
            "Si fue usted, simplemente inicie sesión. Si no, no tiene que hacer nada.",
        ),
        Letter::PhoneAdded { .. } => Words::new(
            "Un teléfono puede aprobar sus inicios de sesión",
            format!(
                "Desde ahora, el dispositivo «{device}» puede aprobar los inicios de sesión en su cuenta."
            ),
            "Si no fue usted, inicie sesión, revoque ese dispositivo y cambie su contraseña.",
        ),
        Letter::PhoneRemoved { .. } => Words::new(
            "Un teléfono ya no puede aprobar sus inicios de sesión",
            format!("El dispositivo «{device}» ya no puede aprobar los inicios de sesión en su cuenta."),
            "Si no fue usted, inicie sesión, autorícelo de nuevo y cambie su contraseña.",
        ),
        Letter::CodesReplaced { .. } => Words::new(
            "Tiene nuevos códigos de respaldo",
            "Se han creado diez nuevos códigos de respaldo para su cuenta; los anteriores ya no valen nada.",
            "Si no fue usted, inicie sesión, cree otros nuevos y cambie su contraseña.",
        ),
        Letter::FactorRemoved { method: off, .. } => Words::new(
            "Se ha desactivado un segundo factor",
            format!("Este segundo factor ya no protege su cuenta: {}.", method(off)),
            "Si no fue usted, inicie sesión, actívelo de nuevo y cambie su contraseña.",
        ),
        Letter::PasswordChanged { .. } => Words::new(
            "Se ha cambiado su contraseña",
            "Se ha cambiado la contraseña de su cuenta y las demás sesiones han terminado.",
            "Si no fue usted, pida ayuda de inmediato al operador de este servicio.",
        ),
        Letter::RefreshReused { .. } => Words::new(
            "Se ha cerrado una sesión por su seguridad",
            format!(
                "Se ha presentado de nuevo un token ya sustituido del dispositivo «{device}». Puede que lo hayan \
                 copiado; por eso se ha cerrado la sesión de ese dispositivo."
            ),
            "Si no se acaban de restaurar los datos del dispositivo, cambie su contraseña.",
        ),
        Letter::Locked { .. } => Words::new(
            "Demasiados códigos incorrectos",
            "Tras demasiados códigos incorrectos, durante un tiempo no se aceptan códigos para su cuenta. Un \
             teléfono que pueda aprobar sus inicios de sesión sigue funcionando.",
            "Si no fue usted, alguien conoce su contraseña: cámbiela.",
        ),
        Letter::FingerprintsGuessed { .. } => Words::new(
            "Alguien intenta pasar por sus dispositivos de confianza",
            "Alguien que conoce su contraseña ha entrado una y otra vez desde dispositivos en los que usted no confía. Durante un tiempo se pedirá un segundo factor a todos los dispositivos.",
            "Si no ha sido usted, cambie su contraseña.",
        ),
        Letter::LoginCode { minutes, .. } => Words::with_code(
            "Su código de inicio de sesión",
            "Su código para iniciar sesión:",
            validity(minutes),
            "Si no fue usted, puede que alguien conozca su contraseña: cámbiela. No dé nunca este código a nadie.",
        ),
        Letter::EnableCode { minutes, .. } => Words::with_code(
            "Confirme su dirección",
            "Su código para activar los códigos por correo:",
            validity(minutes),
            "Si no fue usted, cambie su contraseña. No dé nunca este código a nadie.",
        ),
        Letter::FactorAdded { method: on, .. } => Words::new(
            "Se ha activado un segundo factor",
            format!("Desde ahora, este segundo factor protege su cuenta: {}.", method(on)),
            "Si no fue usted, inicie sesión, desactívelo y cambie su contraseña.",
        ),
        Letter::TwoFactorOff { .. } => Words::new(
            "Se ha desactivado el inicio de sesión en dos pasos",
            "Ningún segundo factor protege ya su cuenta: basta la contraseña para abrirla.",
            "Si no fue usted, inicie sesión, actívelo de nuevo y cambie su contraseña.",
        ),
        Letter::CodesLow { left, .. } => Words::new(
            "Le quedan pocos códigos de respaldo",
            match left {
                0 => "Se usó un código de respaldo para iniciar sesión; era el último.".to_owned(),
                1 => "Se usó un código de respaldo para iniciar sesión; le queda uno.".to_owned(),
                more => format!("Se usó un código de respaldo para iniciar sesión; le quedan {more}."),
            },
            "Si fue usted, cree otros nuevos a tiempo. Si no, inicie sesión, cree otros nuevos y cambie su contraseña.",
        ),
        Letter::DeviceTrusted { .. } => Words::new(
            "Ahora se confía en un dispositivo",
            format!("Durante un tiempo no se pide un segundo factor al dispositivo «{device}»."),
            "Si no fue usted, inicie sesión, revoque esa confianza y cambie su contraseña.",
        ),
        Letter::Words { minutes, .. } => Words::with_code(
            "Sus palabras para iniciar sesión",
            "Sus tres palabras para iniciar sesión:",
            words_validity(minutes),
            "Si no fue usted, no tiene que hacer nada: sin estas palabras nadie pasa de aquí. No las dé nunca a \
             nadie.",
        ),
        Letter::PasswordRecovered { .. } => Words::new(
            "Se ha recuperado su contraseña",
            "Se ha fijado una contraseña nueva para su cuenta por medio de esta dirección y todas las sesiones \
             han terminado. Hasta su próximo inicio de sesión no se aceptan códigos por correo como segundo \
             factor.",
            "Si no fue usted, alguien lee su correo: cambie la contraseña de su correo y pida ayuda de inmediato \
             al operador de este servicio.",
        ),
        Letter::AddressProven { .. } => Words::new(
            "Su dirección está confirmada",
            "Su dirección se ha confirmado por primera vez. Aquí figura lo que está vinculado a \
             su cuenta.",
            "Si algo no es suyo, inicie sesión, elimínelo y cambie su contraseña.",
        ),
        Letter::Reclaimed { .. } => Words::new(
            "Lo que estaba vinculado a su cuenta ha terminado",
            "Su dirección se ha confirmado por primera vez, y sin la contraseña. Otra persona \
             pudo registrarla, así que han terminado todas las sesiones, dispositivos, segundos \
             factores y códigos de respaldo anteriores, y la contraseña anterior ya no vale.",
            "Si todavía no ha elegido una contraseña nueva, hágalo por correo. Si no fue usted, \
             alguien lee su correo: cambie su contraseña.",
        ),
    }
}
