# One image for every service: `docker run hallpass jwt-factory`, `… token-cache/proxy`.
FROM node:24-slim AS build
WORKDIR /app
# For networks with their own npm registry or CA; neither is stored in the image.
ARG NPM_CONFIG_REGISTRY
ARG NODE_EXTRA_CA_CERTS
COPY . .
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && node deploy/containers/bundle.js /out \
 && rm -rf node_modules/@hallpass node_modules/esbuild node_modules/@esbuild node_modules/.bin \
 && mkdir -p /out/state && chmod 700 /out/state

FROM node:24-slim
ENV NODE_ENV=production STATE_FOLDER=/state NODE_OPTIONS=--enable-source-maps
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /out/app ./
# A new volume inherits the owner of this folder.
COPY --from=build --chown=node:node /out/state /state
# The user `node`, by number, so that a cluster can verify that it is not root.
USER 1000
# Node handles signals correctly as PID 1; `init: true` (compose) or tini reaps orphaned processes.
ENTRYPOINT ["node", "/app/run.cjs"]
CMD ["jwt-factory"]
HEALTHCHECK --interval=10s --timeout=8s --start-period=30s --retries=6 CMD ["node", "/app/healthcheck.cjs"]
