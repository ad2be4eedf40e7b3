"""The Google Cloud project that a stack lives in: its number, and the identities that carry it."""

from dataclasses import dataclass

import pulumi
from pulumi_gcp import kms, organizations

# https://cloud.google.com/kubernetes-engine/docs/how-to/encrypting-secrets, …/using-cmek, and
# https://cloud.google.com/storage/docs/encryption/using-customer-managed-keys: who uses a key on our behalf.
SERVICE_AGENTS = {
    "cluster": "container-engine-robot.iam.gserviceaccount.com",
    "disks": "compute-system.iam.gserviceaccount.com",
    "bucket": "gs-project-accounts.iam.gserviceaccount.com",
    "share": "cloud-filer.iam.gserviceaccount.com",
}


@dataclass(frozen=True, kw_only=True)
class GcpProject:
    """A project: `id` is its name in every path, `number` what identities are built from."""

    id: str
    number: pulumi.Output[str]

    def workload(self, namespace: pulumi.Input[str], account: str) -> pulumi.Output[str]:
        """The IAM principal of a Kubernetes service account: Workload Identity without a Google service account.

        https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity#configure-authz-principals
        """
        return pulumi.Output.format(
            "principal://iam.googleapis.com/projects/{0}/locations/global/workloadIdentityPools/{1}.svc.id.goog"
            "/subject/ns/{2}/sa/{3}",
            self.number,
            self.id,
            namespace,
            account,
        )

    def grant_key(self, name: str, key: str, service: str, parent: pulumi.Resource) -> kms.CryptoKeyIAMMember:
        """Let one of SERVICE_AGENTS encrypt with `key`, a Cloud KMS key's full name."""
        return kms.CryptoKeyIAMMember(
            name,
            crypto_key_id=key,
            role="roles/cloudkms.cryptoKeyEncrypterDecrypter",
            member=self.number.apply(lambda number: f"serviceAccount:service-{number}@{SERVICE_AGENTS[service]}"),
            opts=pulumi.ResourceOptions(parent=parent),
        )


def gcp_project(project: str, opts: pulumi.InvokeOptions) -> GcpProject:
    """Look the project up; a preview with the wrong credentials ends here."""
    found = organizations.get_project_output(project_id=project, opts=opts)
    return GcpProject(id=project, number=found.number)
