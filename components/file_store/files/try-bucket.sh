#!/bin/sh
# What a core does with its bucket, before one is changed: it creates it, unless it is there and its own, and writes, reads
# and removes an object. Prints why that is not possible, and EMPTY where the bucket has nothing and OLD_FOLDER, where files
# were so far, has. The keys are in a file of curl's.
set -eu

work=$(mktemp -d)
object=$BUCKET_URL/.dhis2-cluster-trial
# Of no content. curl before 8 signs another one.
no_content='x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

fatal() {
    echo "$*"
    exit 1
}

# An element of S3's XML answer.
element() { sed -n "s/.*<$1>\([^<]*\)<\/$1>.*/\1/p" "$work/answer" | head -n 1; }

# Send a request and set `status` to that of its answer.
request() {
    : >"$work/answer"
    status=$(curl -q -sS -K /opt/dhis2-cluster/secrets/curl --connect-timeout 10 --max-time 25 \
        -o "$work/answer" -w '%{http_code}' "$@" 2>"$work/error") ||
        fatal "$(tail -n 1 "$work/error" | sed 's/^curl: ([0-9]*) //')"
}

# Why the server refuses to do something, in its own words.
refused() {
    code=$(element Code)
    case $code in
    InvalidAccessKeyId) hint=' (fileStoreAccessKey)' ;;
    SignatureDoesNotMatch) hint=' (fileStoreSecretKey)' ;;
    AuthorizationHeaderMalformed | IllegalLocationConstraintException | InvalidLocationConstraint) hint=' (region)' ;;
    *) hint='' ;;
    esac
    message=$(element Message)
    fatal "the server refuses to $1: ${code:-HTTP status $status}$hint${message:+, ${message%.}}"
}

if [ -n "$LOCATION" ]; then
    request -X PUT -H 'Content-Type: application/xml' --data-binary \
        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>$LOCATION</LocationConstraint></CreateBucketConfiguration>" \
        "$BUCKET_URL"
else
    request -X PUT -H "$no_content" --data-binary '' "$BUCKET_URL"
fi
case $status$(element Code) in
2* | 409BucketAlreadyOwnedByYou) ;;
*) refused "create the bucket $BUCKET, which DHIS2 does at each start" ;;
esac
request -X PUT -H 'Content-Type: text/plain' --data-binary trial "$object"
[ "$status" = 200 ] || refused "store an object in the bucket $BUCKET"
request -H "$no_content" "$object"
[ "$status" = 200 ] || refused "return an object of the bucket $BUCKET"
[ "$(cat "$work/answer")" = trial ] || fatal "$BUCKET_URL has not returned what was stored; is it an S3 server?"
request -X DELETE -H "$no_content" "$object"
case $status in
2*) ;;
*) refused "remove an object of the bucket $BUCKET" ;;
esac

[ -n "$(ls -A "$OLD_FOLDER" 2>/dev/null)" ] || exit 0
request -H "$no_content" "$BUCKET_URL?list-type=2&max-keys=1"
if [ "$status" = 200 ] && [ -z "$(element Key)" ]; then
    echo "$EMPTY"
fi
