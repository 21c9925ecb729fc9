/** The attack catalog, section by section, against the services as `npm start` runs them. */
import './minting-and-keys.ts'
import './verification.ts'
import './replay-and-logs.ts'
import './availability.ts'
