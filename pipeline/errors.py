# SPDX-License-Identifier: AGPL-3.0-or-later
"""Everything that can go wrong for a reason outside the code.

::

    WalkoutError                 one line for the user, exit code 2
    ├── LayoutError              a layout, catalogue or planogram file is wrong
    ├── RecordingError           a recording is missing, cut off, empty or of another shape
    ├── CaptureError             a camera or a video file cannot be read
    ├── WeightsError             a weights file is missing, corrupt or made for another task
    ├── MessageError             bytes from the event log that are not one of our messages
    │   └── NewerSchemaError     ... because a newer version of walkout wrote them
    ├── EventLogError            the event log cannot be reached or written
    ├── StateError               the state database cannot be used
    │   ├── StateUnreachableError    ... because it is not there, or not for now
    │   └── FencedError              ... because another process has taken over what this one was doing
    ├── PassKeyError             a key ring, or a key that a gate or an issuer needs, is missing or wrong
    ├── PassRefused              a gate stays shut, with the reason (pipeline/passes/refused.py)
    ├── PaymentError             a payment provider's settings or address are wrong
    │   ├── PaymentDeclinedError the hold asked for at entry was refused
    │   └── SignatureError       a webhook that its provider did not sign
    ├── AccountError             an account or its settings are wrong
    │   └── SignInRefused        a code, link or password that does not let in
    ├── CouponError              a coupon is not the shopper's, spent, expired or unknown
    ├── CorrectionError          a receipt cannot be corrected in the way asked for
    ├── AuditError               the audit trail has been tampered with
    ├── CaseError                a dispute or a case that is refused, with the reason
    │   ├── UnknownCaseError     ... because there is no such case, line or receipt (of this shopper's)
    │   └── StaleCaseError       ... because the receipt or the case has moved on since it was looked at
    ├── EvidenceError            a clip or picture that is missing, corrupt, expired or erased, or cannot be kept
    ├── ScenarioError            a scenario file is wrong
    ├── StoreFileError           a store's file cannot be changed in the way asked for
    └── OutputError              what the command makes cannot be written (disk full, no permission)
"""


class WalkoutError(Exception):
    """Base of all errors that are the user's or the world's, not the code's.

    The text is one line: what was expected, what came, which file or camera, what to do.
    """


class LayoutError(WalkoutError):
    pass


class RecordingError(WalkoutError):
    pass


class CaptureError(WalkoutError):
    pass


class WeightsError(WalkoutError):
    pass


class MessageError(WalkoutError):
    pass


class NewerSchemaError(MessageError):
    pass


class EventLogError(WalkoutError):
    pass


class StateError(WalkoutError):
    pass


class StateUnreachableError(StateError):
    pass


class FencedError(StateError):
    pass


class PassKeyError(WalkoutError):
    pass


class PaymentError(WalkoutError):
    pass


class PaymentDeclinedError(PaymentError):
    pass


class SignatureError(PaymentError):
    pass


class AccountError(WalkoutError):
    pass


class SignInRefused(AccountError):
    pass


class CouponError(WalkoutError):
    pass


class CorrectionError(WalkoutError):
    pass


class AuditError(WalkoutError):
    pass


class CaseError(WalkoutError):
    pass


class UnknownCaseError(CaseError):
    pass


class StaleCaseError(CaseError):
    pass


class EvidenceError(WalkoutError):
    pass


class ScenarioError(WalkoutError):
    pass


class StoreFileError(WalkoutError):
    pass


class OutputError(WalkoutError):
    pass
