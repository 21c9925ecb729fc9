export type { EventSelection } from './event-selection.ts'
export type { ReaderGroup } from './reader-group.ts'
export { ReaderGroups } from './reader-groups.ts'
