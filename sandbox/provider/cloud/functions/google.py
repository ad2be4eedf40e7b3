"""Functions of the gcp package."""

from sandbox.provider.cloud import versions
from sandbox.provider.cloud.behaviours.gke import zones_of
from sandbox.provider.cloud.functions import Function
from sandbox.provider.cloud.place import PROJECT_NUMBER, Place
from sandbox.provider.cloud.store import Store
from sandbox.provider.contract import ProviderError
from sandbox.provider.values import Properties, Secret

SECRET_VERSION = "gcp:secretmanager/secretVersion:SecretVersion"


def client_config(arguments: Properties, place: Place) -> Properties:
    """What the provider is configured with. The token opens nothing."""
    return {
        "id": f"projects/{place.project}/regions/{place.region}/zones/{place.zone or ''}",
        "project": place.project,
        "region": place.region,
        "zone": place.zone or "",
        "accessToken": Secret("ya29.stand-in"),
        "defaultLabels": {},
    }


def project(arguments: Properties, place: Place) -> Properties:
    """The provider's project, or the named one."""
    name = str(arguments.get("projectId") or place.project)
    return {
        "id": f"projects/{name}",
        "projectId": name,
        "name": name,
        "number": PROJECT_NUMBER,
        "orgId": "",
        "folderId": "",
        "billingAccount": "",
        "autoCreateNetwork": True,
        "labels": {},
        "effectiveLabels": {},
        "pulumiLabels": {},
        "tags": {},
        "deletionPolicy": "PREVENT",
    }


def zones(arguments: Properties, place: Place) -> Properties:
    """Three zones of a region."""
    region = arguments.get("region") or place.region
    if not region:
        raise ProviderError("getZones: no region: set gcp:region in the stack, or name one.")
    name = str(arguments.get("project") or place.project)
    return {
        "id": f"projects/{name}/regions/{region}",
        "project": name,
        "region": region,
        "names": zones_of(str(region)),
    }


def engine_versions(arguments: Properties, place: Place) -> Properties:
    """The versions that clusters can have, the newest first; with a prefix, those that start with it."""
    prefix = str(arguments.get("versionPrefix") or "")
    found = [full for v in versions.offered("gke") if (full := versions.full(v)).startswith(prefix)]
    if not found:
        raise ProviderError(f"getEngineVersions: no version starts with {prefix!r}.")
    channels = {name: versions.full(str(v)) for name, v in versions.table()["gke"]["channels"].items()}
    return {
        **arguments,
        "id": str(arguments.get("location") or place.region),
        "defaultClusterVersion": versions.full(versions.default("gke")),
        "latestMasterVersion": found[0],
        "latestNodeVersion": found[0],
        "validMasterVersions": found,
        "validNodeVersions": found,
        "releaseChannelDefaultVersion": channels,
        "releaseChannelLatestVersion": channels,
    }


def secret_version(arguments: Properties, place: Place) -> Properties:
    """The newest version of a secret of the pretended cloud."""
    secret, project = str(arguments.get("secret")), str(arguments.get("project") or place.project)
    found = [
        v for v in Store().objects(SECRET_VERSION) if str(v.properties.get("secret")).endswith(f"secrets/{secret}")
    ]
    if not found:
        raise ProviderError(
            f"getSecretVersion: Secret [projects/{project}/secrets/{secret}] not found or has no versions in the "
            "pretended cloud: make it with a program of its own (secretmanager.Secret and SecretVersion)."
        )
    given = found[-1].properties
    return {
        "id": found[-1].id,
        "name": str(given.get("name")),
        "secret": secret,
        "project": project,
        "version": str(given.get("version") or "1"),
        "createTime": str(given.get("createTime") or ""),
        "destroyTime": "",
        "enabled": True,
        "isSecretDataBase64": False,
        "fetchSecretData": True,
        "secretData": Secret(str(given.get("secretData"))),
    }


FUNCTIONS: dict[str, Function] = {
    "gcp:organizations/getClientConfig:getClientConfig": client_config,
    "gcp:organizations/getProject:getProject": project,
    "gcp:compute/getZones:getZones": zones,
    "gcp:secretmanager/getSecretVersion:getSecretVersion": secret_version,
    "gcp:container/getEngineVersions:getEngineVersions": engine_versions,
}
