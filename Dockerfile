# One image for every service: `docker run hallpass jwt-factory`, `… token-cache/proxy`.
FROM node:24-slim AS build
WORKDIR /app
# For a network with a registry or an authority of its own; neither is kept.
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
# A new volume takes over whom this folder belongs to.
COPY --from=build --chown=node:node /out/state /state
# The user node, by its number: a cluster can then see that it is not root.
USER 1000
# Node passes on signals and stops cleanly as the first process; `init: true` (compose) or tini reaps what others leave.
ENTRYPOINT ["node", "/app/run.cjs"]
CMD ["jwt-factory"]
HEALTHCHECK --interval=10s --timeout=8s --start-period=30s --retries=6 CMD ["node", "/app/healthcheck.cjs"]
