export type { CatchUp } from './catch-up.ts'
export { CatchUps, type CatchUpsOptions } from './catch-ups.ts'
