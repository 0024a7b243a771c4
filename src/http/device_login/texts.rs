//! What the device-aware login says, in four languages; a translator changes this file and nothing else.

use crate::domain::language::Language;

/// Something to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Text {
    /// A second factor is needed.
    SecondFactor,
    /// A code was mailed, if anybody has that address.
    CodeSent,
    BadJson,
    /// Followed by the field's name.
    BadField,
    TooLarge,
    WrongType,
    WrongMethod,
    TooSlow,
    WrongCredentials,
    WrongCode,
    DeadCode,
    Disabled,
    Locked,
    TooManyRequests,
    Busy,
    NotAuthenticated,
    StaleProof,
    WrongClient,
    NotFound,
    NotNow,
    Internal,
}

impl Text {
    pub(super) fn of(self, language: Language) -> &'static str {
        let [en, fr, de, es] = self.all();
        match language {
            Language::En => en,
            Language::Fr => fr,
            Language::De => de,
            Language::Es => es,
        }
    }

    /// In English, French, German, Spanish.
    #[expect(clippy::too_many_lines, reason = "a table: an arm for each text")]
    fn all(self) -> [&'static str; 4] {
        match self {
            Self::SecondFactor => [
                "A second factor is needed.",
                "Un second facteur est nécessaire.",
                "Ein zweiter Faktor ist nötig.",
                "Se necesita un segundo factor.",
            ],
            Self::CodeSent => [
                "A 6-digit OTP code has been sent again.",
                "Un code OTP de 6 chiffres a été renvoyé.",
                "Ein sechsstelliger OTP-Code wurde erneut gesendet.",
                "Se ha reenviado un código OTP de 6 cifras.",
            ],
            Self::BadJson => [
                "The body is no valid JSON object.",
                "Le corps de la requête n’est pas un objet JSON valide.",
                "Der Inhalt der Anfrage ist kein gültiges JSON-Objekt.",
                "El cuerpo de la solicitud no es un objeto JSON válido.",
            ],
            Self::BadField => [
                "Missing or invalid field: ",
                "Champ manquant ou invalide\u{a0}: ",
                "Fehlendes oder ungültiges Feld: ",
                "Campo ausente o no válido: ",
            ],
            Self::TooLarge => [
                "The body is too large.",
                "Le corps de la requête est trop grand.",
                "Der Inhalt der Anfrage ist zu groß.",
                "El cuerpo de la solicitud es demasiado grande.",
            ],
            Self::WrongType => [
                "Send application/json.",
                "Envoyez application/json.",
                "Senden Sie application/json.",
                "Envíe application/json.",
            ],
            Self::WrongMethod => [
                "Method not allowed.",
                "Méthode non autorisée.",
                "Diese Methode ist nicht erlaubt.",
                "Método no permitido.",
            ],
            Self::TooSlow => [
                "The body took too long.",
                "Le corps de la requête a trop tardé.",
                "Der Inhalt der Anfrage kam zu langsam.",
                "El cuerpo de la solicitud ha tardado demasiado.",
            ],
            Self::WrongCredentials => [
                "Wrong identifier or password.",
                "Identifiant ou mot de passe incorrect.",
                "Kennung oder Passwort ist falsch.",
                "Identificador o contraseña incorrectos.",
            ],
            Self::WrongCode => {
                ["Wrong code.", "Code incorrect.", "Der Code ist falsch.", "Código incorrecto."]
            }
            Self::DeadCode => [
                "This code is no longer valid; ask for a new one.",
                "Ce code n’est plus valable\u{a0}; demandez-en un nouveau.",
                "Dieser Code gilt nicht mehr; fordern Sie einen neuen an.",
                "Este código ya no es válido; solicite uno nuevo.",
            ],
            Self::Disabled => [
                "This account is disabled.",
                "Ce compte est désactivé.",
                "Dieses Konto ist gesperrt.",
                "Esta cuenta está desactivada.",
            ],
            Self::Locked => [
                "Too many wrong codes; try again later.",
                "Trop de codes erronés\u{a0}; réessayez plus tard.",
                "Zu viele falsche Codes; versuchen Sie es später noch einmal.",
                "Demasiados códigos incorrectos; inténtelo más tarde.",
            ],
            Self::TooManyRequests => [
                "Too many requests; try again later.",
                "Trop de requêtes\u{a0}; réessayez plus tard.",
                "Zu viele Anfragen; versuchen Sie es später noch einmal.",
                "Demasiadas solicitudes; inténtelo más tarde.",
            ],
            Self::Busy => [
                "Busy; try again in a moment.",
                "Service occupé\u{a0}; réessayez dans un instant.",
                "Ausgelastet; versuchen Sie es gleich noch einmal.",
                "Servicio ocupado; inténtelo en un momento.",
            ],
            Self::NotAuthenticated => [
                "You are not logged in, or not any more.",
                "Vous n’êtes pas connecté, ou ne l’êtes plus.",
                "Sie sind nicht oder nicht mehr angemeldet.",
                "No ha iniciado sesión o esta ha terminado.",
            ],
            Self::StaleProof => [
                "Prove your password again.",
                "Confirmez votre mot de passe.",
                "Bestätigen Sie Ihr Passwort.",
                "Confirme su contraseña.",
            ],
            Self::WrongClient => [
                "This token was made for another client.",
                "Ce jeton a été émis pour un autre client.",
                "Dieses Token wurde für einen anderen Client ausgestellt.",
                "Este token se emitió para otro cliente.",
            ],
            Self::NotFound => ["Not found.", "Introuvable.", "Nicht gefunden.", "No encontrado."],
            Self::NotNow => [
                "Not possible now.",
                "Impossible pour le moment.",
                "Das geht gerade nicht.",
                "No es posible en este momento.",
            ],
            Self::Internal => ["Internal error.", "Erreur interne.", "Interner Fehler.", "Error interno."],
        }
    }
}
