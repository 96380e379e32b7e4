# SPDX-License-Identifier: Apache-2.0
r53fwd_test(sim zone)
r53fwd_test(sim fault)
r53fwd_test(sim response)
r53fwd_test(sim watch)
r53fwd_test(sim port)
r53fwd_test(sim endpoint)
r53fwd_test(sim control)

# The forwarder on a virtual clock.
r53fwd_test(sim trace_outage SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/lib/world.c LIBRARIES server)
