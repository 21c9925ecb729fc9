export { STATUS_LIST_KEY_ID, type StatusLists, statusLists } from './status-lists.ts'
