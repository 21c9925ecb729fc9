export { ClockWatch } from './clock-watch.ts'
export { rotationConfig } from './rotation-config.ts'
export { expectedPlan, planRotation, type RotatingKey, type RotationRules } from './rotation-plan.ts'
export { type RotatingKeys, type RotationOutcome, ScheduledRotation } from './scheduled-rotation.ts'
