export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
export const OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
export const OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
export const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";
export const DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";

export const isIndexType = (type: string | undefined) => type === OCI_INDEX || type === DOCKER_LIST;
export const isManifestType = (type: string | undefined) => type === OCI_MANIFEST || type === DOCKER_MANIFEST;
export const isConfigType = (type: string | undefined) => type === OCI_CONFIG || type === DOCKER_CONFIG;
/** A layer that its maker alone gives away. */
export const isForeignLayer = ({ mediaType, urls }: { mediaType: string; urls?: string[] }) =>
  (urls?.length ?? 0) > 0 && /\.(nondistributable|foreign)\./.test(mediaType);
/** A filesystem layer, of whatever compression; in-toto statements and other artifacts are not. */
export const isLayerType = (type: string | undefined) =>
  type !== undefined && /^application\/vnd\.(oci\.image\.layer|docker\.image\.rootfs)\./.test(type);
