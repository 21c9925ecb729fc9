export {
  MAX_SELECTOR_BYTES,
  parseTopicSelector,
  type TopicSelector,
  TopicSelectorError,
} from './topic-selector.ts'
export { MAX_SELECTORS, parseTopicSelectors, TopicSelectors } from './topic-selectors.ts'
