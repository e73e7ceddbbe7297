"""The bucket of a job store: made, told from others, and removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from toil_core.errors import NotAJobStore, Transient, UsageError

from toil_aws.errors import action, code_of, status_of, translated
from toil_aws.names import MARKER

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import TagTypeDef

    from toil_aws.options import AwsOptions

TAG = "toil-job-store"
PAGE = 1000
"""So many objects are deleted with one request."""
_SEVERAL = 4
_NOT_HERE = ("NotImplemented", "MethodNotAllowed", "XNotImplemented", "NotSupported")


class Bucket:
    """A bucket that holds nothing but a job store.

    Its marker is written last and removed last; the tag says that we made it, also before and after that.

    Args:
        client: The client, of the bucket's region.
        name: The bucket.
        region: The region.
        options: The plugin's options.
        where: The job store's locator.
        amazon: Whether this is Amazon's own S3, not another server.
    """

    def __init__(self, client: S3Client, name: str, region: str, options: AwsOptions, where: str, *, amazon: bool) -> None:
        self._s3, self.name, self._region, self._options, self._where = client, name, region, options, where
        self._amazon = amazon

    def prepare(self) -> None:
        """Make the bucket, unless it is there; see `JobStore.prepare`."""
        with translated(self._where, region=self._region, profile=self._options.profile):
            marker, there = self._look()
            if marker is None and not self._make(there):
                self._take()

    def check_place(self) -> None:
        """Make sure that nobody else uses the bucket; see `ChecksPlace`."""
        with translated(self._where, region=self._region, profile=self._options.profile):
            marker, there = self._look()
            if marker is None and there and not self._tagged():
                self._check_free()

    def destroy(self) -> None:
        """Remove everything; see `JobStore.destroy`."""
        with translated(self._where, region=self._region, profile=self._options.profile):
            try:
                marker, _ = self._look()
                ours = self._tagged() if marker is None else bool(marker.get("made"))
                if marker is None and not ours:
                    if not self._there():
                        return
                    raise NotAJobStore(f"the bucket {self.name} holds no job store, so nothing of it is removed{self._hint_if_empty()}")
                versioned = self._empty()
                self._s3.delete_object(Bucket=self.name, Key=MARKER)
                if ours:
                    self._remove()
                elif versioned:
                    self._remove_versions()
            except ClientError as error:
                if code_of(error) != "NoSuchBucket":
                    raise

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, a thousand with each request.

        Raises:
            Transient: Some could not be deleted now.
            UsageError: It is not permitted.
        """
        names = iter(names)
        first = list(islice(names, PAGE))
        if len(first) == 1:
            self._s3.delete_object(Bucket=self.name, Key=first[0])
        elif first:
            self._delete_pages([{"Key": name} for name in page] for page in _pages(first, names))

    # Making

    def _look(self) -> tuple[dict[str, Any] | None, bool]:
        """What the marker says, or None when there is none; and whether there is a bucket."""
        try:
            answer = self._s3.get_object(Bucket=self.name, Key=MARKER)
        except ClientError as error:
            if code_of(error) in ("NoSuchKey", "NoSuchBucket"):
                return None, code_of(error) == "NoSuchKey" and self._there()  # not every server tells them apart
            if status_of(error) == 403 and code_of(error) == "AccessDenied":
                raise NotAJobStore(
                    f"the bucket {self.name} is not yours, or you may not read it: bucket names are shared by all users of S3; "
                    "choose another name for the job store"
                ) from error
            raise
        try:
            marker = dict(json.loads(answer["Body"].read()))
        except (ValueError, TypeError):
            raise NotAJobStore(f"the bucket {self.name} has a damaged {MARKER}, so it is left alone") from None
        self._check_same(marker.get("region"))
        return marker, True

    def _make(self, there: bool) -> bool:
        """Make the bucket with all that belongs to it; False when it was there and somebody else made it.

        Args:
            there: Whether it is there: in us-east-1, S3 does not refuse to make it once more.
        """
        if there and not self._tagged():
            return False
        where = {} if self._region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        try:
            if not there:
                self._s3.create_bucket(Bucket=self.name, **where)  # type: ignore[arg-type]
        except ClientError as error:
            if code_of(error) == "BucketAlreadyExists":
                raise NotAJobStore(
                    f"somebody else has a bucket named {self.name}: bucket names are shared by all users of S3; choose another name for the job store"
                ) from error
            if status_of(error) == 403 and code_of(error) == "AccessDenied":
                raise self._not_permitted("CreateBucket") from error
            if code_of(error) != "BucketAlreadyOwnedByYou":
                raise
            if not self._tagged():
                return False
        tags: list[TagTypeDef] = [{"Key": TAG, "Value": self._where}, *map(_tag, self._options.tags)]
        self._set("PutBucketTagging", self._s3.put_bucket_tagging, Tagging={"TagSet": tags})
        self._protect()
        self._write_first()
        return True

    def _write_first(self) -> None:
        try:
            self._s3.put_object(Bucket=self.name, Key=MARKER, Body=self._description(made=True))
        except ClientError as error:
            if self._amazon or self._options.encryption == "none" or status_of(error) != 500:
                raise
            what = f"the server has made the bucket, and stores nothing in it ({code_of(error) or 500})"
            raise Transient(f"{self._where}: {what}; if it has no keys to encrypt with, add --aws-encryption none") from error

    def _take(self) -> None:
        """Take an empty bucket that somebody else made for us; it will be emptied, and not removed."""
        self._check_free()
        try:
            self._s3.put_object(Bucket=self.name, Key=MARKER, Body=self._description(made=False), IfNoneMatch="*")
        except ClientError as error:
            if status_of(error) not in (409, 412):  # else another one has just made or taken it
                raise

    def _check_free(self) -> None:
        self._check_region()
        found = [item["Key"] for item in self._s3.list_objects_v2(Bucket=self.name, MaxKeys=2).get("Contents", [])]
        if found and found != [MARKER]:
            raise NotAJobStore(f"the bucket {self.name} holds something else than a job store; choose another name")

    def _check_region(self) -> None:
        self._check_same(self._s3.head_bucket(Bucket=self.name).get("BucketRegion"))

    def _check_same(self, region: str | None) -> None:
        if region and region != self._region:
            raise UsageError(f"the bucket {self.name} is in {region}, not in {self._region}; write aws:{region}:{self.name}")

    def _protect(self) -> None:
        closed = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
        self._set("PutPublicAccessBlock", self._s3.put_public_access_block, PublicAccessBlockConfiguration=closed)
        if rule := encryption_rule(self._options):
            self._set("PutBucketEncryption", self._s3.put_bucket_encryption, ServerSideEncryptionConfiguration={"Rules": [rule]})
        forgetting: dict[str, Any] = {"ID": "broken-uploads", "Status": "Enabled", "Filter": {"Prefix": ""}}
        forgetting["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": 7}
        self._set("PutBucketLifecycleConfiguration", self._s3.put_bucket_lifecycle_configuration, LifecycleConfiguration={"Rules": [forgetting]})
        if self._s3.meta.endpoint_url.startswith("https:"):
            self._set("PutBucketPolicy", self._s3.put_bucket_policy, Policy=only_tls(self._s3, self.name))

    def _set(self, operation: str, call: Callable[..., Any], **arguments: Any) -> None:
        """Configure the bucket; servers other than Amazon's may lack some of it."""
        try:
            call(Bucket=self.name, **arguments)
        except ClientError as error:
            if not self._amazon and (code_of(error) in _NOT_HERE or status_of(error) in (405, 501)):
                return
            if status_of(error) == 403:
                raise self._not_permitted(operation) from error
            raise

    def _not_permitted(self, operation: str) -> UsageError:
        return UsageError(
            f"{self._where}: AWS does not permit {action(operation)}, which a new job store needs; ask for that permission, "
            f"or have an empty bucket named {self.name} made for you"
        )

    def _description(self, *, made: bool) -> bytes:
        import toil_aws

        what = "a job store of toil-core; remove it with `toil clean`"
        return json.dumps({"what": what, "made": made, "region": self._region, "plugin": toil_aws.__version__}).encode()

    # Removing

    def _tagged(self) -> bool:
        try:
            tags = self._s3.get_bucket_tagging(Bucket=self.name)["TagSet"]
        except ClientError as error:
            if code_of(error) in ("NoSuchTagSet", "NoSuchBucket", *_NOT_HERE) or status_of(error) in (404, 405, 501):
                return False
            raise
        return any(tag["Key"] == TAG for tag in tags)

    def _hint_if_empty(self) -> str:
        """What to do about a bucket of which nothing says whose it is: somebody's, or one whose making was cut short at once."""
        empty = not self._s3.list_objects_v2(Bucket=self.name, MaxKeys=1).get("Contents")
        return f"; it is empty: a run may use it, and `aws s3 rb s3://{self.name}` removes it" if empty else ""

    def _there(self) -> bool:
        try:
            self._s3.head_bucket(Bucket=self.name)
        except ClientError as error:
            if status_of(error) == 404:
                return False
            raise
        return True

    def _empty(self) -> bool:
        """Remove every object but the marker, with all its versions, and what was uploaded in part; whether there are versions."""
        versioned = self._versioned()
        self._delete_pages(self._versions() if versioned else self._names())
        for page in self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=self.name):
            for upload in page.get("Uploads", []):
                self._s3.abort_multipart_upload(Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"])
        return versioned

    def _versioned(self) -> bool:
        try:
            return "Status" in self._s3.get_bucket_versioning(Bucket=self.name)
        except ClientError as error:
            if code_of(error) in _NOT_HERE or status_of(error) in (405, 501):
                return False
            raise

    def _names(self) -> Iterator[list[dict[str, str]]]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, PaginationConfig={"PageSize": PAGE}):
            yield [{"Key": item["Key"]} for item in page.get("Contents", []) if item["Key"] != MARKER]

    def _versions(self) -> Iterator[list[dict[str, str]]]:
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self.name, PaginationConfig={"PageSize": PAGE}):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            yield [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found if item["Key"] != MARKER or not item["IsLatest"]]

    def _delete_pages(self, pages: Iterable[list[dict[str, str]]]) -> None:
        """Delete pages of objects, some at a time; no more pages are held than are being deleted."""
        pages = iter(pages)
        with ThreadPoolExecutor(_SEVERAL, "toil-s3-delete") as pool:
            while some := list(islice(pages, _SEVERAL)):
                for _ in pool.map(self._delete_page, some):
                    pass

    def _delete_page(self, objects: list[dict[str, str]]) -> None:
        if not objects:
            return
        answer = self._s3.delete_objects(Bucket=self.name, Delete={"Objects": objects, "Quiet": True})  # type: ignore[typeddict-item]
        errors = [error for error in answer.get("Errors", []) if error.get("Code") not in ("NoSuchKey", "NoSuchVersion")]
        if errors:
            code = errors[0].get("Code", "")
            what = f"{self._where}: {len(errors)} of {len(objects)} objects were not deleted ({code}: {errors[0].get('Message', '')})"
            raise UsageError(f"{what}; s3:DeleteObject is needed") if code == "AccessDenied" else Transient(what)

    def _remove(self) -> None:
        """Remove the bucket itself, with versions of the marker."""
        try:
            self._s3.delete_bucket(Bucket=self.name)
        except ClientError as error:
            if code_of(error) != "BucketNotEmpty":
                raise
            self._remove_versions()
            self._s3.delete_bucket(Bucket=self.name)

    def _remove_versions(self) -> None:
        """Remove every version that is left, those of the marker."""
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self.name):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            self._delete_page([{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found])


def encryption_rule(options: AwsOptions) -> Any:
    """How a new bucket encrypts what is put into it; None where the server does as it likes."""
    if options.encryption == "none":
        return None
    key = {"KMSMasterKeyID": options.kms_key} if options.kms_key else {}
    kind = "aws:kms" if key else options.encryption
    return {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": kind, **key}, "BucketKeyEnabled": kind == "aws:kms"}


def only_tls(client: S3Client, bucket: str) -> str:
    """The policy that refuses every request for a bucket that comes without TLS."""
    arn = f"arn:{client.meta.partition}:s3:::{bucket}"
    statement = {
        "Sid": "OnlyTLS", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _pages(first: list[str], rest: Iterator[str]) -> Iterator[list[str]]:
    while first:
        yield first
        first = list(islice(rest, PAGE))


def _tag(text: str) -> TagTypeDef:
    key, _, value = text.partition("=")
    return {"Key": key, "Value": value}
