-- Ardour as somebody at its desk works it: a line on stdin, and `done WORD` when that is so.
--
--   make DIR          a session named `song` with two MIDI tracks, `player` and `answer`, closed
--   open DIR          open it, and send MIDI clock
--   connect FROM TO   two of JACK's ports; `_` stands for a blank
--   arm TRACK         the next roll is recorded there
--   roll              start the transport
--   until SECONDS     wait for it to come there
--   stop              stop it
--   close             save and close the session
--
-- It knows nothing of Segue.

local RATE = 48000
local BY_HAND = ARDOUR.TransportRequestSource.TRS_UI
local SETTLE_S = 0.3 -- what other threads of Ardour's still do when a call has returned

local function sleep (seconds)
	ARDOUR.LuaAPI.usleep (math.floor (seconds * 1000000))
end

local words = {}

function words.make (dir)
	AudioEngine:set_backend ("JACK", "ardour", "")
	local session = assert (create_session (dir, "song", RATE))
	local one = ARDOUR.ChanCount (ARDOUR.DataType ("midi"), 1)
	for _, name in ipairs { "player", "answer" } do
		session:new_midi_track (one, one, true, ARDOUR.PluginInfo (), nil, nil, 1, name,
			ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
	end
	session:save_state ("", false, false, false, false, false)
	close_session ()
end

function words.open (dir)
	ARDOUR.config ():set_send_midi_clock (true)
	Session = assert (load_session (dir, "song"))
	Session:cfg ():set_external_sync (false)
	sleep (SETTLE_S)
end

function words.connect (from, to)
	local refused = AudioEngine:connect ((from:gsub ("_", " ")), (to:gsub ("_", " ")))
	assert (refused == 0, "JACK does not connect them")
end

function words.arm (name)
	local track = Session:route_by_name (name):to_track ()
	track:rec_enable_control ():set_value (1, PBD.GroupControlDisposition.NoGroup)
	Session:maybe_enable_record ()
	sleep (SETTLE_S)
end

function words.roll ()
	Session:request_roll (BY_HAND)
end

words["until"] = function (seconds)
	while Session:transport_sample () < tonumber (seconds) * RATE do
		sleep (0.02)
	end
end

function words.stop ()
	Session:request_stop (false, false, BY_HAND)
	while Session:transport_rolling () do
		sleep (0.02)
	end
	sleep (SETTLE_S)
end

function words.close ()
	Session:save_state ("", false, false, false, false, false)
	close_session ()
end

io.stdout:setvbuf ("line")
for line in io.lines () do
	local parts = {}
	for part in line:gmatch ("%S+") do
		parts[#parts + 1] = part
	end
	words[parts[1]] (table.unpack (parts, 2))
	print ("done " .. parts[1])
end
quit ()
