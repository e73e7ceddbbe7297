"""What leader, workers and the job store exchange: keys, records and their encoding.

Everything here is data that any version of the engine on any machine can read without
knowing a user's code: bodies and values of jobs are opaque bytes.
"""
