"""The contract of an object store: keys, URLs, values, errors and the protocols that stores implement.

No store is in here yet; see the README for what is.
"""

from tds_cloud.errors import (
    AccessDenied,
    BlobNotFound,
    CloudError,
    CredentialsInUrl,
    DeadlineExceeded,
    InsecureEndpoint,
    IntegrityError,
    InvalidKey,
    InvalidObject,
    InvalidStoreUrl,
    ObjectExists,
    PreconditionFailed,
    StoreUnavailable,
)
from tds_cloud.key import join_key, relative_key, validate_key, validate_prefix
from tds_cloud.objects import ByteRange, ListPage, ObjectInfo, PutCondition, PutOptions, PutResult, validate_tags
from tds_cloud.protocols import AsyncObjectStore, ObjectStore, PresignMethod
from tds_cloud.url import Scheme, StoreUrl, is_loopback, parse_store_url

__all__ = [
    "AccessDenied",
    "AsyncObjectStore",
    "BlobNotFound",
    "ByteRange",
    "CloudError",
    "CredentialsInUrl",
    "DeadlineExceeded",
    "InsecureEndpoint",
    "IntegrityError",
    "InvalidKey",
    "InvalidObject",
    "InvalidStoreUrl",
    "ListPage",
    "ObjectExists",
    "ObjectInfo",
    "ObjectStore",
    "PreconditionFailed",
    "PresignMethod",
    "PutCondition",
    "PutOptions",
    "PutResult",
    "Scheme",
    "StoreUnavailable",
    "StoreUrl",
    "is_loopback",
    "join_key",
    "parse_store_url",
    "relative_key",
    "validate_key",
    "validate_prefix",
    "validate_tags",
]
