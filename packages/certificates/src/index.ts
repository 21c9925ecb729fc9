/** The development certificate authority. */
export type Pem = string
