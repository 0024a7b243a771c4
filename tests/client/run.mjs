// The official better-auth client, unmodified, against the server that SERVER names (docs/protocol-http.md,
// "better-auth API").
//
// SERVER          its address, without a slash at the end; registration is open, limits.factor is 0
// MAIL_FOLDER     its mail.folder
// ALLOWED_ORIGIN  one of its server.allowed_origins

import './cases/session.mjs';
import './cases/totp.mjs';
import './cases/trust.mjs';
import './cases/mailed_codes.mjs';
import './cases/backup_codes.mjs';
import './cases/wrong_codes.mjs';
import './cases/bearer.mjs';
import './cases/origins.mjs';
import './cases/wire.mjs';
