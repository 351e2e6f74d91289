# The operator: one bundled file on a Node image without shell or package manager.
# Build the bundle first: node deploy/node.mjs deploy/images/bundle.ts operator
# Node 26 wants libatomic; the distroless images of 26 and later have it. Any image with Node 26 will do.
ARG BASE_IMAGE=gcr.io/distroless/nodejs26-debian13:nonroot
FROM ${BASE_IMAGE}
COPY --chown=0:0 --chmod=0444 dist/operator.js /app/operator.js
WORKDIR /app
USER 65532:65532
ENV NODE_ENV=production
# Where distroless has Node, then where others have it.
ENV PATH=/nodejs/bin:/usr/local/bin:/usr/bin:/bin
EXPOSE 8081
ENTRYPOINT ["node", "--disable-proto=throw", "/app/operator.js"]
