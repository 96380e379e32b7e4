# SPDX-License-Identifier: Apache-2.0
r53fwd_test(sim zone)
r53fwd_test(sim fault)
r53fwd_test(sim response)
