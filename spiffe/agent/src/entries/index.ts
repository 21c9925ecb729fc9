export { EntriesError, type Entry, type Federation } from './entries.ts'
export { EntryExists, EntryStore, NoSuchEntry } from './entry-store.ts'
