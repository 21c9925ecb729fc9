import type { Finding } from './finding.ts'
import { type Manifest, malformed, readManifests, type SourceFile } from './manifest.ts'
import { shapeError } from './policy.ts'
import {
  findCustomWithSource,
  findMissingAudiences,
  findOpaquePorts,
  findOrForAnd,
  findTokenNotDemanded,
  findWaypointWithoutTargetRefs,
} from './rules/index.ts'

/** Rules that check one object at a time. */
const OBJECT_RULES = [findCustomWithSource]
/** Rules that check all applied objects together. */
const SET_RULES = [
  findOrForAnd,
  findTokenNotDemanded,
  findMissingAudiences,
  findOpaquePorts,
  findWaypointWithoutTargetRefs,
]

/**
 * Finds mistakes in policies that a cluster accepts: policies that do not do what they seem to do.
 * @param files in the order in which they are applied; a later object replaces an earlier one of the same identity.
 */
export function lintPolicies(files: readonly SourceFile[]): Finding[] {
  const read = files.map(readManifests)
  const manifests = read.flatMap((file) => file.manifests)
  const effective = applied(manifests)
  return [
    ...read.flatMap((file) => file.findings),
    ...manifests.flatMap((manifest) => {
      const error = shapeError(manifest)
      return error ? [malformed(manifest.file, () => manifest.lineOf(['spec']), error)] : []
    }),
    ...OBJECT_RULES.flatMap((rule) => rule(manifests)),
    ...SET_RULES.flatMap((rule) => rule(effective)),
  ]
}

/** Returns the objects that remain after `kubectl apply` of all, in order. */
export function applied(manifests: readonly Manifest[]): Manifest[] {
  const byIdentity = new Map<string, Manifest>()
  for (const manifest of manifests) {
    const { apiVersion, kind, namespace, name } = manifest
    byIdentity.set([apiVersion.split('/').at(-2) ?? '', kind, namespace, name].join(' '), manifest)
  }
  return [...byIdentity.values()]
}
