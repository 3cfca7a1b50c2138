"""The command `edgewright attest`."""

from __future__ import annotations

from pathlib import Path

import click

from runtimes.errors import UsageError
from toolchain.cli._input_files import check_keeps_inputs
from toolchain.cli._options import check_exists


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    required=True,
    help="The result that edgewright gate --output json=FILE wrote for this very bundle.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="FILE.pem",
    required=True,
    help="The private Ed25519 key of edgewright sign, without a passphrase. It is stored nowhere.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    help="The attestation; BUNDLE.intoto.json, if not given.",
)
@click.pass_context
def command(ctx: click.Context, bundle: Path, report: Path, key: Path, out: Path | None) -> None:
    """Attest a gate's result on a bundle: an in-toto statement that is signed with the bundle's key.

    runtimes.load(..., require="passed") and a step that deploys can demand it. A result that is no pass is attested,
    too, and refused there. Sign the bundle first, since a signature changes its file.

    \b
    edgewright sign model.edge --key key.pem
    edgewright gate model.edge --budget 'p90<=10ms' --output json=gate.json
    edgewright attest model.edge --report gate.json --key key.pem
    """
    for path in (bundle, report, key):
        check_exists(path)
    from runtimes.verification.attestation import attestation_file, write_signed

    written = out or attestation_file(bundle)
    check_keeps_inputs(ctx, [written], "out")
    from hwbench.results import profile_results
    from runtimes.bundles.bundle import Bundle
    from toolchain.packaging.gate_statement import gate_statement

    with Bundle(bundle) as opened:
        opened.check()
        digest = opened.file_sha256()
    results = [r for r in profile_results.from_json(report.read_bytes(), str(report)).profiles if r.bundle_sha256]
    result = next((each for each in results if each.bundle_sha256 == digest), None)
    if result is None:
        raise UsageError(
            f"'{report}' is no result of a gate on '{bundle}' as it is now; write one: "
            f"edgewright gate {bundle} --output json={report}."
        )
    if not result.budgets:
        raise UsageError(f"'{report}' holds no verdict; gate the bundle with a --budget.")
    write_signed(gate_statement(result, bundle.name, digest), key, written)
    click.echo(f"Attested: {written}: {result.outcome}")
