export { type StreamTopics, TopicAccess } from './topic-access.ts'
export { type TopicPermissions, type TopicsRule, topicPermissionsIn } from './topic-permissions.ts'
