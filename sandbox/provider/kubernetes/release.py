"""The rules of helm.sh/v3 Release: a real chart, installed by the real helm."""

import hashlib
from collections.abc import Callable
from typing import Any

from sandbox.provider.contract import Changes, Failure, Live, Naming, NotReadyError, ProviderError, Task
from sandbox.provider.differences import differences
from sandbox.provider.kubernetes import charts, definitions, helm, recorded
from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.readiness.failed import FailedError
from sandbox.provider.kubernetes.readiness.pretended import Impatient, Rule
from sandbox.provider.kubernetes.readiness.workloads import deployment
from sandbox.provider.kubernetes.rest import Json
from sandbox.provider.values import UNKNOWN, Properties, has_unknown

ARGUMENTS = {
    "name",
    "namespace",
    "chart",
    "version",
    "values",
    "timeout",
    "createNamespace",
    "skipAwait",
    "skipCrds",
    "atomic",
    "cleanupOnFail",
    "maxHistory",
    "description",
    "disableOpenapiValidation",
    "compat",
    "resourceNames",
    "repositoryOpts",
}
FLAGS = {
    "createNamespace": "--create-namespace",
    "atomic": "--atomic",
    "cleanupOnFail": "--cleanup-on-fail",
    "disableOpenapiValidation": "--disable-openapi-validation",
}


class ReleaseRules:
    """One release of a chart that the table of charts knows; in a pretended cluster of any chart (`recorded`)."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def check(self, task: Task, olds: Properties, news: Properties, naming: Naming) -> tuple[Properties, list[Failure]]:
        inputs = dict(news)
        failures = [
            Failure(name, f"Release has no argument {name!r} in the sandbox; there is {', '.join(sorted(ARGUMENTS))}.")
            for name in news
            if name not in ARGUMENTS and not name.startswith("__")
        ]
        if not inputs.get("name"):
            suffix = hashlib.sha256(naming.seed or task.urn.encode()).hexdigest()[:7]
            inputs["name"] = olds.get("name") or naming.proposed or f"{task.name.lower()}-{suffix}"
        inputs.setdefault("namespace", self.cluster.namespace)
        chart, version = inputs.get("chart"), inputs.get("version")
        if chart is not UNKNOWN and version is not UNKNOWN:
            failures += self._refusals(str(chart), str(version) if version else None)
        return inputs, failures

    def _refusals(self, chart: str, version: str | None) -> list[Failure]:
        if charts.find(chart, version) is not None:
            return []
        if not self.cluster.pretended:
            return [Failure("chart", str(charts.unknown(chart, version)))]
        if version is None:
            return [Failure("version", f"is missing: without it the chart {chart} would be whatever is newest.")]
        return []

    def diff(self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties) -> Changes:
        paths = differences(old_inputs, news)
        replace = {path for path in paths if path in ("name", "namespace")}
        return Changes(paths=paths, replace=replace, delete_first=replace == {"namespace"})

    def create(self, task: Task, inputs: Properties) -> tuple[str, Properties]:
        if task.preview:
            return "", self._preview(task, inputs)
        return f"{inputs['namespace']}/{inputs['name']}", self._install(task, inputs)

    def update(
        self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties
    ) -> Properties:
        return self._preview(task, news) if task.preview else self._install(task, news)

    def _preview(self, task: Task, inputs: Properties) -> Properties:
        if not has_unknown(inputs):
            known = charts.find(inputs["chart"], inputs.get("version"))
            if known is None:
                task.warn(recorded.remark(inputs))
                return {**inputs, "status": UNKNOWN}
            chart = charts.prepare(known)
            arguments = ["template", inputs["name"], str(chart.chart), "--namespace", inputs["namespace"]]
            helm.run(task, self.cluster, arguments, inputs.get("values") or {}, lambda: None)
        return {**inputs, "status": UNKNOWN}

    def _install(self, task: Task, inputs: Properties) -> Properties:
        name, namespace = str(inputs["name"]), str(inputs["namespace"])
        known = charts.find(inputs["chart"], inputs.get("version"))
        if known is None:
            found = recorded.install(task, self.cluster, inputs)
            return {**inputs, "status": found.summary(name, namespace)}
        chart = charts.prepare(known)
        if not inputs.get("skipCrds"):
            definitions.install(task, self.cluster, chart.definitions())
        before = helm.stored(self.cluster, namespace, name)
        if before is not None and before.status.startswith("pending-"):
            task.status(f"revision {before.revision} was interrupted ({before.status}): it is done over again")
            helm.forget(self.cluster, namespace, before)
        timeout = task.timeout or float(inputs.get("timeout") or helm.TIMEOUT)
        arguments = ["upgrade", "--install", name, str(chart.chart), "--namespace", namespace, "--skip-crds"]
        arguments += ["--timeout", f"{timeout:.0f}s", "--history-max", str(inputs.get("maxHistory") or 5)]
        arguments += [flag for argument, flag in FLAGS.items() if inputs.get(argument)]
        arguments += [] if inputs.get("skipAwait") else ["--wait"]
        task.status("helm runs the chart's hooks and installs it")
        try:
            helm.run(task, self.cluster, arguments, inputs.get("values") or {}, self._lacking(namespace, name))
        except ProviderError as error:
            found = helm.stored(self.cluster, namespace, name)
            text = f"Release {namespace}/{name}: {error}"
            if found is None:
                raise ProviderError(text) from None
            outputs = {**inputs, "status": found.summary(name, namespace)}
            raise NotReadyError(f"{namespace}/{name}", outputs, inputs, [text]) from None
        found = helm.stored(self.cluster, namespace, name)
        if found is None:
            raise ProviderError(f"Release {namespace}/{name}: helm ended well but keeps no record of it.")
        return {**inputs, "status": found.summary(name, namespace)}

    def _lacking(self, namespace: str, name: str) -> Callable[[], str | None]:
        """Says what the release's Deployments are waiting for."""
        rules: dict[str, Rule] = {}

        def look() -> str | None:
            for live in self.cluster.list("apps/v1", "Deployment", namespace, f"app.kubernetes.io/instance={name}"):
                own = live["metadata"]["name"]
                rule = rules.setdefault(own, Impatient(deployment) if self.cluster.pretended else deployment)
                try:
                    text = rule(self.cluster, live)
                except FailedError as error:
                    if self.cluster.pretended:  # helm would wait for a node until its time is up
                        raise FailedError(f"Deployment {own}: {error}") from None
                    continue  # helm itself decides
                if text:
                    return f"Deployment {own}: {text}"
            return None

        return look

    def read(self, task: Task, identifier: str, state: Properties, inputs: Properties) -> Live | None:
        namespace, _, name = identifier.rpartition("/")
        namespace = namespace or self.cluster.namespace
        found = helm.stored(self.cluster, namespace, name)
        if found is None:
            return None
        summary = found.summary(name, namespace)
        if inputs:
            kept = dict(inputs)
            before: Json = state.get("status") or {}
            if before.get("revision") != found.revision:  # somebody used helm by hand
                kept |= {"values": found.values, "version": found.version}
        else:
            known = charts.find(found.chart, found.version)
            reference = known.reference if known else found.chart
            kept = {"name": name, "namespace": namespace, "chart": reference}
            kept |= {"version": found.version, "values": found.values, "compat": "true"}
        outputs: dict[str, Any] = {**kept, "status": summary}
        return Live(identifier=f"{namespace}/{name}", outputs=outputs, inputs=kept)

    def delete(self, task: Task, identifier: str, state: Properties) -> None:
        namespace, _, name = identifier.rpartition("/")
        found = helm.stored(self.cluster, namespace, name)
        if found is None:
            return
        timeout = task.timeout or float(state.get("timeout") or helm.TIMEOUT)
        arguments = ["uninstall", name, "--namespace", namespace, "--wait", "--timeout", f"{timeout:.0f}s"]
        try:
            helm.run(task, self.cluster, [*arguments, "--ignore-not-found"], None, lambda: None)
        except ProviderError as error:
            raise ProviderError(f"Release {identifier}: {error}") from None
