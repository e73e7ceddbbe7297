"""What `toil doctor` looks at on AWS: region, credentials, identity, the clock, and each permission that a job store needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, CredentialRetrievalError
from toil_core.checks import Check
from toil_core.errors import ToilError, UsageError

from toil_aws import clients
from toil_aws.bucket import encryption_rule, only_tls
from toil_aws.errors import OTHERWISE, SDK, TRIED, action, code_of, login, of_key, one_line, refused, renewed, skewed, status_of, verdict
from toil_aws.options import AwsOptions

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from toil_core.options import Config

_WAYS = {
    "env": "the environment's variables", "shared-credentials-file": "~/.aws/credentials", "config-file": "~/.aws/config", "sso": "single sign-on",
    "assume-role": "an assumed role", "assume-role-with-web-identity": "a web identity", "container-role": "the container's role",
    "iam-role": "the instance's role", "custom-process": "a program that ~/.aws/config names", "login": "`aws login`",
}  # fmt: skip
_ABSENT = "toil-doctor-asks-for-nothing"
_NEEDED = {"CreateBucket", "PutObject", "GetObject", "ListObjectsV2", "DeleteObject"}
_SKEW = 60.0


def checks(regions: Sequence[str], config: Config) -> Iterator[Check]:
    """Look at everything; what depends on something that failed is left out.

    Args:
        regions: Those of the job stores; the SDK's own default, when there are none.
        config: The options.
    """
    options = config[AwsOptions]
    try:
        session = clients.session(options)
        with clients.readable(), renewed():
            credentials = session.get_credentials()
            if credentials is None:
                raise UsageError(TRIED)
            credentials.get_frozen_credentials()
    except UsageError as error:
        yield Check("aws credentials", "error", f"there are none; {error}", "run `aws configure` or `aws sso login`, or set the variables")
        return
    except SDK as error:
        again = OTHERWISE if isinstance(error, CredentialRetrievalError) else f"run {login(options.profile)}, or set the variables anew"
        yield Check("aws credentials", "error", f"they cannot be used: {one_line(error)}", again)
        return
    yield Check("aws credentials", "ok", f"found in {_WAYS.get(credentials.method, credentials.method)}; key {credentials.access_key[:4]}...")
    for region in regions or [options.region or session.region_name or "us-east-1"]:
        known = _region(session, region, options)
        yield known
        if known.state != "error":
            yield from _of_region(session, region, options)


def _region(session: Any, region: str, options: AwsOptions) -> Check:
    server = clients.endpoint(options)
    if server:
        return Check("aws region", "ok", f"{region}, at {server}")
    partitions = session.get_available_partitions()
    known = {name for partition in partitions for name in session.get_available_regions("s3", partition)}
    if region in known:
        return Check("aws region", "ok", region)
    import difflib

    close = difflib.get_close_matches(region, known, 1)
    return Check("aws region", "error", f"there is no region {region}", f"did you mean {close[0]}?" if close else "check the spelling")


def _of_region(session: Any, region: str, options: AwsOptions) -> Iterator[Check]:
    identity = _identity(session, region, options)
    if identity is not None:
        yield identity
        if identity.state == "error":
            return
    client = clients.s3(options, region)
    try:
        yield from _clock(client)
        yield from _permissions(client, options)
    except ToilError as error:
        yield Check("aws s3", "error", str(error))
    finally:
        client.close()


def _identity(session: Any, region: str, options: AwsOptions) -> Check | None:
    """Who AWS says that we are; None where another server stands for it that has no such service."""
    try:
        found = session.client("sts", region_name=region).get_caller_identity()
    except SDK as error:
        if clients.endpoint(options):
            return None
        return Check("aws identity", "error", str(verdict(error, "AWS", profile=options.profile)))
    return Check("aws identity", "ok", f"{found['Arn']} of account {found['Account']}")


def _clock(client: S3Client) -> Iterator[Check]:
    """How far this machine's clock is from the server's; AWS refuses more than 15 minutes."""
    seen: dict[str, str] = {}
    client.meta.events.register("needs-retry.s3.*", lambda response, **_: seen.update(response[0].headers if response else {}))
    sent = time.time()
    try:
        client.head_bucket(Bucket=_ABSENT)
    except ClientError as error:
        seen.update(error.response["ResponseMetadata"].get("HTTPHeaders", {}))
        if skewed(error):
            seen["skewed"] = "yes"
    except SDK as error:
        raise verdict(error, "S3") from error
    date = {name.lower(): value for name, value in seen.items()}.get("date")
    if date:
        ahead = (sent + time.time()) / 2 - parsedate_to_datetime(date).timestamp()
        far = abs(ahead) > _SKEW or "skewed" in seen
        found = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
        advice = "set it right, by NTP for example: AWS refuses requests that are 15 minutes off" if far else ""
        yield Check("aws clock", "error" if abs(ahead) > 14 * 60 or "skewed" in seen else "warning" if far else "ok", found, advice)


def _permissions(client: S3Client, options: AwsOptions) -> Iterator[Check]:
    """Each permission of a job store, tried in a bucket that is made for that and removed."""
    import secrets

    bucket = f"toil-doctor-{secrets.token_hex(8)}"
    region = client.meta.region_name
    where: dict[str, Any] = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    closed: Any = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    encrypted: list[tuple[str, Callable[[], Any]]] = []
    if rule := encryption_rule(options):
        encrypted = [("PutBucketEncryption", lambda: client.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}))]
    forgetting: Any = {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    one: dict[str, Any] = {"Bucket": bucket, "Key": "probe"}
    tls: list[tuple[str, Callable[[], Any]]] = []
    if client.meta.endpoint_url.startswith("https:"):
        tls = [("PutBucketPolicy", lambda: client.put_bucket_policy(Bucket=bucket, Policy=only_tls(client, bucket)))]
    tries: list[tuple[str, Callable[[], Any]]] = [
        ("CreateBucket", lambda: client.create_bucket(Bucket=bucket, **where)),
        ("PutBucketTagging", lambda: client.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "toil-job-store", "Value": "doctor"}]})),
        ("GetBucketTagging", lambda: client.get_bucket_tagging(Bucket=bucket)),
        ("PutPublicAccessBlock", lambda: client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=closed)),
        *encrypted,
        (
            "PutBucketLifecycleConfiguration",
            lambda: client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [forgetting]}),
        ),
        *tls,
        ("GetBucketVersioning", lambda: client.get_bucket_versioning(Bucket=bucket)),
        ("PutObject", lambda: client.put_object(**one, Body=b"probe", IfNoneMatch="*")),
        ("GetObject", lambda: client.get_object(**one)["Body"].read()),
        ("ListObjectsV2", lambda: client.list_objects_v2(Bucket=bucket)),
        ("ListObjectVersions", lambda: client.list_object_versions(Bucket=bucket)),
        ("ListMultipartUploads", lambda: client.list_multipart_uploads(Bucket=bucket)),
        ("AbortMultipartUpload", lambda: client.abort_multipart_upload(**one, UploadId=client.create_multipart_upload(**one)["UploadId"])),
        ("DeleteObject", lambda: client.delete_object(**one)),
    ]  # fmt: skip
    missing, odd, made = [], [], False
    try:
        for operation, attempt in tries:
            code = _tried(attempt, needed=operation in _NEEDED)
            made = made or (operation == "CreateBucket" and not code)
            if code == "denied":
                missing.append(action(operation))
            elif code and not (operation == "CreateBucket" and code == "BucketAlreadyOwnedByYou"):
                odd.append(f"{action(operation)}: {code}")
            if operation == "CreateBucket" and not made:
                break
    finally:
        if made:
            _tried(lambda: client.delete_object(**one))
            code = _tried(lambda: client.delete_bucket(Bucket=bucket))
    if made and code == "denied":
        missing.append("s3:DeleteBucket")
        yield Check("aws clean-up", "warning", f"the bucket {bucket} of this check could not be removed", f"have it removed: aws s3 rb s3://{bucket} --force")
    if missing:
        hint = "; or have an empty bucket made for you and name it in the locator" if "s3:CreateBucket" in missing else ""
        yield Check("aws permissions", "error", f"AWS does not permit {', '.join(missing)}", f"ask for them, on the bucket of the job store and what is in it{hint}")
    elif not made:
        yield Check("aws permissions", "warning", f"they cannot be told without a bucket; {'; '.join(odd)}", "try again; if it stays so, ask whoever runs the server")
    elif odd:
        yield Check("aws permissions", "warning", f"permitted as far as could be told; {'; '.join(odd)}")
    else:
        yield Check("aws permissions", "ok", f"all that a job store in {region} needs")


def _tried(attempt: Callable[[], Any], *, needed: bool = False) -> str:
    """Empty when it went well, or is something that the server has not and that is not needed; `denied`; or the error's code."""
    try:
        attempt()
    except ClientError as error:
        if not needed and (code_of(error) in ("NotImplemented", "MethodNotAllowed") or status_of(error) == 501):
            return ""
        if refused(error) or skewed(error) or of_key(error):
            raise verdict(error, "S3") from error
        return "denied" if status_of(error) == 403 else code_of(error) or str(status_of(error))
    except SDK as error:
        raise verdict(error, "S3") from error
    return ""
