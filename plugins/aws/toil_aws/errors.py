"""What the SDK's errors mean to the engine; the one place that knows them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from typing import Any

from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError
from botocore.session import Session
from toil_core.errors import BadLocator, KeyExists, NoSuchJobStore, NoSuchKey, StoreError, StoreFull, ToilError, Transient, UsageError

TRIED = (
    "tried in turn: the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile in ~/.aws/credentials and ~/.aws/config "
    "(with single sign-on and assumed roles), the container's role, the instance's role"
)
HOW = "run `aws configure` or `aws sso login`, or set the variables; `toil doctor aws:REGION:NAME` tells more"
OTHERWISE = "the SDK then tries nothing else: make what gives them work again, or name others by --aws-profile, AWS_PROFILE or the variables"

SDK = (sdk.ClientError, sdk.BotoCoreError, sdk.HTTPClientError, ResponseParserError)
"""What the SDK raises when a request does not succeed."""
_NO_CREDENTIALS = (sdk.NoCredentialsError, sdk.PartialCredentialsError, sdk.ConfigParseError)
_PASSES = (
    sdk.HTTPClientError, sdk.ConnectionError, sdk.IncompleteReadError, sdk.ResponseStreamingError, sdk.FlexibleChecksumError,
    sdk.MetadataRetrievalError,
)  # fmt: skip
_REFUSED_SKEW = 15 * 60.0
_REFUSED = {
    "ExpiredToken": "the credentials have expired",
    "ExpiredTokenException": "the credentials have expired",
    "TokenRefreshRequired": "the credentials have expired",
    "InvalidAccessKeyId": "AWS does not know the access key",
    "InvalidClientTokenId": "AWS does not know the access key",
    "InvalidToken": "AWS does not know the session token",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
}
_WAITS = {
    "RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequests",
    "BandwidthLimitExceeded", "OperationAborted", "ConditionalRequestConflict", "InternalError", "ServiceUnavailable", "BadDigest",
    "XAmzContentSHA256Mismatch", "IncompleteBody", "NoSuchUpload",
}  # fmt: skip
_FULL = {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientCapacity"}


def code_of(error: BaseException) -> str:
    """The code that S3 gave an error; empty for other errors."""
    if not isinstance(error, sdk.ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: BaseException) -> int:
    """The HTTP status of an answer that is an error; 0 for other errors."""
    if not isinstance(error, sdk.ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def refused(error: BaseException) -> bool:
    """Whether the credentials themselves are no good, whatever is asked."""
    return code_of(error) in _REFUSED


def of_key(error: BaseException) -> bool:
    """Whether it is the KMS key that cannot be used."""
    return code_of(error).startswith("KMS.") or (status_of(error) == 403 and "kms:" in str(error))


def skewed(error: BaseException) -> bool:
    """Whether a request was refused because this machine's clock is wrong. The answer to HEAD has no code: its date tells."""
    if code_of(error) == "RequestTimeTooSkewed":
        return True
    if not isinstance(error, sdk.ClientError) or status_of(error) != 403:
        return False
    try:
        date = parsedate_to_datetime(error.response["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, ValueError):
        return False
    return abs(time.time() - date.timestamp()) > _REFUSED_SKEW


def retried(error: sdk.ClientError) -> bool:
    """Whether the SDK had sent the request more than once."""
    return int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) > 0


def verdict(error: Exception, where: str, key: str = "", region: str = "", profile: str | None = None) -> ToilError:
    """What an error of the SDK means.

    Args:
        error: What was raised.
        where: The bucket or object as the user knows it.
        key: The key of the blob that it was about; empty when it was about none.
        region: The region of the job store that it was about; empty when it was about none.
        profile: The profile of the options; None when they name none.
    """
    if isinstance(error, sdk.ClientError):
        return _answer(error, where, key, region)
    if isinstance(error, sdk.SSOError | sdk.TokenRetrievalError):
        return UsageError(f"{where}: nobody is logged in by single sign-on, or the login has expired ({one_line(error)}); run {login(profile)}")
    if isinstance(error, sdk.ProfileNotFound):
        return UsageError(f"{where}: {no_profile(str(error.kwargs.get('profile')))}")
    if isinstance(error, sdk.CredentialRetrievalError):
        return UsageError(f"{where}: there are no usable AWS credentials ({one_line(error)}); {OTHERWISE}")
    if isinstance(error, _NO_CREDENTIALS):
        return UsageError(f"{where}: there are no usable AWS credentials ({one_line(error)}); {TRIED}; {HOW}")
    if isinstance(error, sdk.SSLError):
        return UsageError(
            f"{where}: the server cannot be trusted: {one_line(error)}; does it speak https? Check its URL (--aws-endpoint-url, AWS_ENDPOINT_URL), "
            "and AWS_CA_BUNDLE where its certificate is its own"
        )
    if isinstance(error, sdk.EndpointConnectionError):
        return Transient(f"{where}: {one_line(error)}; check the network, the spelling of the region, and the URL where one is given (--aws-endpoint-url, AWS_ENDPOINT_URL, endpoint_url in ~/.aws/config)")
    if isinstance(error, sdk.EndpointProviderError):
        return UsageError(f"{where}: {one_line(error)}; check --aws-endpoint-url and AWS_ENDPOINT_URL, and the region")
    if isinstance(error, ResponseParserError):
        return Transient(f"{where}: the answer is not one of S3's; is that a server of S3? Check --aws-endpoint-url and AWS_ENDPOINT_URL, and what is between")
    if isinstance(error, _PASSES):
        return Transient(f"{where}: {one_line(error)}")
    if isinstance(error, sdk.ParamValidationError | sdk.InvalidEndpointConfigurationError | sdk.NoRegionError | ValueError):
        return UsageError(f"{where}: {one_line(error)}")
    return StoreError(key, f"{where}: {one_line(error)}")


def no_profile(name: str) -> str:
    """What is wrong with the name of a profile that is in no file."""
    with suppress(*SDK):
        known = Session().available_profiles
        near = get_close_matches(name, known, 1) or known[:5]
        return f"there is no profile {name} in ~/.aws/config and ~/.aws/credentials; check --aws-profile and AWS_PROFILE" + (
            f": there is {', '.join(near)}" if near else ""
        )
    return f"there is no profile {name}; check --aws-profile and AWS_PROFILE"


def login(profile: str | None) -> str:
    """The command by which one logs in again by single sign-on.

    Args:
        profile: The profile of the options; None when they name none.
    """
    name = profile or os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    return f"`aws sso login --profile {name}`" if name else "`aws sso login`"


def url_verdict(error: Exception, url: str, profile: str | None, *, writing: bool = False) -> ToilError:
    """What an error means to the user of an `s3://` URL."""
    if isinstance(error, sdk.ClientError):
        if code_of(error) in ("NoSuchBucket", "InvalidBucketName"):
            return no_bucket(url)
        if status_of(error) == 404:
            return no_object(url)
        if status_of(error) == 403 and not refused(error) and not skewed(error):
            verb = "write" if writing else "read"
            hint = "" if writing else ", and --aws-request-payer if its readers pay"
            return BadLocator(f"{url}: AWS does not let you {verb} it; check the spelling, your permissions{hint}")
        if status_of(error) == 400 and error.operation_name in ("GetObject", "HeadObject") and not refused(error):
            return BadLocator(f"{url}: S3 does not give it ({code_of(error)}): it is encrypted with a key of its owner, the credentials have expired, or no object can have such a name")
    if isinstance(error, sdk.ParamValidationError):
        return no_bucket(url)  # the SDK checks nothing else of what a URL says
    found = verdict(error, url, profile=profile)
    return BadLocator(str(found).removesuffix(": ")) if isinstance(found, StoreError) else found


def no_bucket(url: str) -> BadLocator:
    """There is none of that name, or there cannot be."""
    return BadLocator(f"{url}: there is no such bucket; check the spelling")


def no_object(url: str) -> BadLocator:
    """There is none of that name."""
    return BadLocator(f"{url}: there is no such object; check the spelling")


@contextmanager
def translated(where: str, key: str = "", region: str = "", profile: str | None = None) -> Iterator[None]:
    """Raise what the SDK's errors mean instead of them; see `verdict`."""
    try:
        with renewed():
            yield
    except SDK as error:
        raise verdict(error, where, key, region, profile) from error


@contextmanager
def renewed() -> Iterator[None]:
    """Say so where what gives credentials gave such as have expired, of which the SDK makes a bare RuntimeError.

    Raises:
        UsageError: They have.
    """
    try:
        yield
    except RuntimeError as error:
        if "refreshed" not in str(error):
            raise
        raise UsageError(f"AWS: the credentials were renewed, and those that came have expired too; check what gives them, and the clock; {HOW}") from error


def no_region(region: str, session: Session) -> str:
    """What is wrong with the name of a region; empty when it is one, or may be one that is newer than the SDK."""
    try:
        session.get_partition_for_region(region)
    except sdk.UnknownRegionError:
        near = get_close_matches(region, session.get_available_regions("s3"), 1)
        return f"AWS has no region {region}; " + (f"did you mean {near[0]}" if near else "its regions have names like us-west-2")
    return ""


def one_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _answer(error: sdk.ClientError, where: str, key: str, region: str) -> ToilError:
    code, status = code_of(error), status_of(error)
    operation: Any = error.operation_name
    if code == "NoSuchBucket":
        hint = no_region(region, Session()) if region else ""
        return NoSuchJobStore(f"there is no job store at {where}: there is no such bucket{hint and f' ({hint}, unless your server calls one so)'}")
    if code == "NoSuchKey" or (status == 404 and code in ("404", "NotFound", "")):
        return NoSuchKey(key) if key else UsageError(f"{where}: {operation} is answered that there is nothing; is that a server of S3? Check --aws-endpoint-url, and the bucket")
    if code == "PreconditionFailed" or status == 412:
        return KeyExists(key)
    if code in _REFUSED:
        return UsageError(f"{where}: {_REFUSED[code]} ({code}); {TRIED}; {HOW}")
    if of_key(error):
        return UsageError(
            f"{where}: the KMS key cannot be used ({code}: {error.response['Error'].get('Message', '')}); check --aws-kms-key, that the key is "
            "enabled and in the bucket's region, and that kms:GenerateDataKey and kms:Decrypt are permitted"
        )
    if skewed(error):
        return UsageError(f"{where}: this machine's clock differs from AWS's by more than 15 minutes; set it right, by NTP for example")
    if code in _FULL or status == 507:
        return StoreFull(key, f"{where} has no room ({code})")
    if code in _WAITS or status in (408, 409, 429) or status >= 500 and status != 501:
        return Transient(f"{where}: the server answers {code or status} to {operation}")
    if code in ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException") or status == 301:
        other = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region", "another region")
        return UsageError(f"{where}: the bucket is in {other}; write that region in its locator")
    reading = operation in ("GetObject", "HeadObject")
    if status == 403:
        other = "; where the job store has a key of your own, --sse-key must name just that one" if reading and key else ""
        return UsageError(f"{where}: AWS does not permit {action(operation)} ({code}); ask for that permission, see `toil doctor`{other}")
    if status == 400 and reading and key:
        unsaid = "the credentials have expired, or " if code == "400" else ""  # the answer to HEAD does not say why
        return UsageError(f"{where}: {key} cannot be read ({one_line(error)}): {unsaid}the job store has a key of your own; then name its file by --sse-key")
    return StoreError(key, f"{where}: {code or status} on {operation}: {one_line(error)}")


_ACTIONS = {
    "HeadObject": "GetObject", "HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket", "ListObjectVersions": "ListBucketVersions",
    "DeleteObjects": "DeleteObject", "CreateMultipartUpload": "PutObject", "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject",
    "UploadPartCopy": "PutObject", "CopyObject": "PutObject", "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "PutBucketEncryption": "PutEncryptionConfiguration", "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "ListMultipartUploads": "ListBucketMultipartUploads",
}  # fmt: skip


def action(operation: str) -> str:
    """The permission that an operation of S3 needs."""
    return f"s3:{_ACTIONS.get(operation, operation)}"
